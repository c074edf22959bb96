"""Databases, an object store, a partner's client and a console for the tests of this folder."""

import httpx
import pytest
import sqlalchemy as sa
from console_members import member, run, stranger, there
from databases import (
    database,
    database_url,
    migrated_postgresql,
    migrated_sqlite,
    postgresql,
)
from objects import object_store
from records import World, settle
from serving import Deployment, planned

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


@pytest.fixture(scope="module")
def client(there: Deployment) -> httpx.Client:
    """Every right of a partner whose source `crm` has a published plan, at the file's server."""
    made = there.client()
    planned(made)
    return made


@pytest.fixture
def world(database: sa.Engine) -> World:
    """A partner with a source, a plan and a company in each kind of database."""
    with database.begin() as c:
        return settle(c)
