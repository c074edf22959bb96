"""Databases, an object store and a console for the tests of this folder."""

from console_members import member, run, stranger, there
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
    "member",
    "migrated_postgresql",
    "migrated_sqlite",
    "object_store",
    "postgresql",
    "run",
    "stranger",
    "there",
]
