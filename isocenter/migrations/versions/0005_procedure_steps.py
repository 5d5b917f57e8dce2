"""Work items as procedure steps of others: their attributes, subscriptions, and event reports."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_TIME = sa.DateTime(timezone=True)
_UID = sa.String(64)


def upgrade() -> None:
    for name, kind, default in (
        ("performer", sa.String(16), "worker"),
        ("label", sa.Text(), ""),
        ("readiness", sa.String(16), "READY"),
        ("patient_id", sa.Text(), ""),
        ("attributes", sa.JSON(), "{}"),
    ):
        column = sa.Column(name, kind, nullable=False, server_default=sa.text(f"'{default}'"))
        op.add_column("work_items", column)
    op.execute("UPDATE work_items SET label = model || ' ' || model_version")
    op.create_index("ix_work_items_patient", "work_items", ["patient_id"])
    _subscriptions()
    _reports()


def _subscriptions() -> None:
    op.create_table(
        "step_subscriptions",
        sa.Column("uid", _UID, primary_key=True),
        sa.Column("aet", sa.String(16), primary_key=True),
        sa.Column("channel", sa.String(8), primary_key=True),
        sa.Column("subscribed", sa.Boolean(), nullable=False),
        sa.Column("deletion_lock", sa.Boolean(), nullable=False),
        sa.Column("keys", sa.JSON(), nullable=False),
        sa.Column("suspended_at", _TIME),
    )
    op.create_index("ix_step_subscriptions_aet", "step_subscriptions", ["aet", "channel"])


def _reports() -> None:
    op.create_table(
        "step_reports",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("aet", sa.String(16), nullable=False),
        sa.Column("channel", sa.String(8), nullable=False),
        sa.Column("uid", _UID, nullable=False),
        sa.Column("event_type", sa.Integer(), nullable=False),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_step_reports_receiver", "step_reports", ["channel", "aet", "id"])
