"""An import can wait for the one before it; an event can be about no company."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

ACTIVE = sa.text("status IN ('needs_attention', 'queued', 'running') AND NOT waits")


def upgrade() -> None:
    op.add_column(
        "runs", sa.Column("waits", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.drop_index("ix_runs_one_active", "runs")
    op.create_index(
        "ix_runs_one_active", "runs", ["company"], unique=True,
        sqlite_where=ACTIVE, postgresql_where=ACTIVE,
    )  # fmt: skip
    _free_events()


def _free_events() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    if sqlite:
        # It changes a column by a new table, and what refers to the old one would go with it.
        op.execute("CREATE TEMP TABLE kept AS SELECT * FROM deliveries")
        op.execute("DELETE FROM deliveries")
    with op.batch_alter_table("events") as events:
        events.alter_column("company", existing_type=sa.String(length=40), nullable=True)
    if sqlite:
        op.execute("INSERT INTO deliveries SELECT * FROM kept")
        op.execute("DROP TABLE kept")
