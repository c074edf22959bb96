"""Exports and deliveries are errands of a company; what they tell are events without a run."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    _destinations()
    _errands()
    _batches()
    sqlite = op.get_bind().dialect.name == "sqlite"
    if sqlite:
        # It changes a column by a new table, and what refers to the old one would go with it.
        op.execute("CREATE TEMP TABLE kept AS SELECT * FROM deliveries")
        op.execute("DELETE FROM deliveries")
    with op.batch_alter_table("events") as events:
        events.alter_column("run", existing_type=sa.String(length=40), nullable=True)
        events.add_column(sa.Column("errand", sa.String(length=40), nullable=True))
        events.create_foreign_key(
            "fk_events_errand", "errands", ["errand"], ["id"], ondelete="CASCADE"
        )
    if sqlite:
        op.execute("INSERT INTO deliveries SELECT * FROM kept")
        op.execute("DROP TABLE kept")


def _destinations() -> None:
    op.create_table(
        "destinations",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("partner", sa.String(length=40), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("shown", sa.JSON(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["partner"], ["partners.id"], name="fk_destinations_partner", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_destinations"),
        sa.UniqueConstraint("partner", "name", name="uq_destinations_partner_name"),
    )
    op.create_index("ix_destinations_partner_id", "destinations", ["partner", "id"])


def _errands() -> None:
    op.create_table(
        "errands",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("partner", sa.String(length=40), nullable=False),
        sa.Column("company", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("etag", sa.String(length=64), nullable=True),
        sa.Column("destination", sa.String(length=40), nullable=True),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("claim", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("progress", sa.JSON(), nullable=False),
        sa.Column("file", sa.JSON(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("executor", sa.String(length=80), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["company"], ["companies.id"], name="fk_errands_company", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["partner"], ["partners.id"], name="fk_errands_partner", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_errands"),
    )
    op.create_index("ix_errands_company_id", "errands", ["company", "id"])
    op.create_index("ix_errands_company_etag", "errands", ["company", "etag"])
    op.create_index("ix_errands_status", "errands", ["status"])


def _batches() -> None:
    op.create_table(
        "batches",
        sa.Column("errand", sa.String(length=40), nullable=False),
        sa.Column("sheet", sa.String(length=63), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("partner", sa.String(length=40), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("refused", sa.BigInteger(), nullable=False),
        sa.Column("results", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["errand"], ["errands.id"], name="fk_batches_errand", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["partner"], ["partners.id"], name="fk_batches_partner", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("errand", "sheet", "start", name="pk_batches"),
    )
