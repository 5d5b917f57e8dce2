"""Versions of models in shadow: their work, and what they found."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column("work_items", sa.Column("shadow", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_table(
        "shadow_results",
        sa.Column("work_item_uid", sa.String(64), primary_key=True),
        sa.Column("findings", sa.JSON, nullable=False),
    )
