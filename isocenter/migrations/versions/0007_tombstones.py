"""Deletions that can be taken back: tombstones, and when a removal is due."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_TIME = sa.DateTime(timezone=True)
_PLAIN = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("removals", sa.Column("due_at", _TIME))
    op.add_column("removals", sa.Column("tombstone", _PLAIN))
    op.create_index("ix_removals_tombstone", "removals", ["tombstone"])
    origin = [
        sa.Column(name, _PLAIN, nullable=False, server_default=sa.text("''"))
        for name in ("protocol", "peer", "address")
    ]
    op.create_table(
        "tombstones",
        sa.Column("id", _PLAIN, primary_key=True),
        sa.Column("study_uid", _PLAIN, nullable=False),
        sa.Column("series_uid", _PLAIN),
        sa.Column("sop_uid", _PLAIN),
        sa.Column("instances", sa.Integer, nullable=False),
        sa.Column("deleted_at", _TIME, nullable=False),
        sa.Column("due_at", _TIME, nullable=False),
        *origin,
        sa.Column("written", sa.Boolean, nullable=False),
    )
