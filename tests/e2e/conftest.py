"""Real services for the tests of this folder."""

from buckets import bucket
from databases import postgresql
from objects import object_store

__all__ = ["bucket", "object_store", "postgresql"]
