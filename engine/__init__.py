"""Runs a plan against files."""
