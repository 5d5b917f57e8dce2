"""How many images a series has, and how its sender sends."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    for column in (
        sa.Column("sender", sa.String(128), nullable=False, server_default=sa.text("''")),
        sa.Column("expected", sa.Integer),
        sa.Column("exact", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("pause", sa.Float(53), nullable=False, server_default=sa.text("0")),
    ):
        op.add_column("due_series", column)
    op.create_table(
        "sender_paces",
        sa.Column("sender", sa.String(128), primary_key=True),
        sa.Column("pauses", sa.JSON, nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
    )
