"""Databases and an object store for the tests of this folder."""

from databases import (
    database,
    database_url,
    migrated_postgresql,
    migrated_sqlite,
    postgresql,
)
from objects import object_store

__all__ = [
    "database",
    "database_url",
    "migrated_postgresql",
    "migrated_sqlite",
    "object_store",
    "postgresql",
]
