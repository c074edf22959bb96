"""A proposal keeps the version it revises; an ended run knows whether its files are still there."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("proposals", sa.Column("version", sa.Text(), nullable=False, server_default=""))
    op.add_column("runs", sa.Column("expired_at", sa.BigInteger(), nullable=True))
    op.add_column("runs", sa.Column("swept_at", sa.BigInteger(), nullable=True))
