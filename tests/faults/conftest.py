"""Databases for the tests of this folder."""

from databases import (
    database,
    database_url,
    migrated_postgresql,
    migrated_sqlite,
    postgresql,
)

__all__ = ["database", "database_url", "migrated_postgresql", "migrated_sqlite", "postgresql"]
