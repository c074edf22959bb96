"""The edge: HTTP for partners, pages for people, a command line."""
