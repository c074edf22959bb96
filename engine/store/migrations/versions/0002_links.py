"""Magic links can be revoked, and pages for a partner's customers carry its brand."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column(
        "companies",
        sa.Column("link_epoch", sa.Integer(), nullable=False, server_default="0"),
    )
    op.add_column("partners", sa.Column("brand", sa.JSON(), nullable=False, server_default="{}"))
