"""A run knows what kind it is, whose rows it is about, and what it did to the company's sheets."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    column, text = sa.Column, sa.String
    op.add_column("runs", column("kind", text(20), nullable=False, server_default="import"))
    op.add_column("runs", column("origin", text(40), nullable=True))
    op.add_column(
        "runs", column("landing", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.add_column("runs", column("rows", sa.JSON(), nullable=False, server_default="{}"))
    op.create_index("ix_runs_origin", "runs", ["origin"])
