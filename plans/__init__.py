"""What a plan says: templates, plans, their versions and changes. Pure: no file, database, clock or network."""
