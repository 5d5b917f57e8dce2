"""Storage commitments that peers asked for."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_PLAIN = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "commitments",
        sa.Column("id", _ID, primary_key=True),
        *(sa.Column(name, _PLAIN, nullable=False) for name in ("transaction_uid", "peer")),
        sa.Column("instances", sa.JSON, nullable=False),
        sa.Column("state", _PLAIN, nullable=False),
        *(sa.Column(name, _TIME, nullable=False) for name in ("asked_at", "due_at")),
        sa.Column("attempts", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("reason", _PLAIN, nullable=False, server_default=sa.text("''")),
        sa.Column("failed", sa.Integer),
        sa.UniqueConstraint("transaction_uid", "peer"),
    )
    op.create_index("ix_commitments_due", "commitments", ["state", "due_at"])
