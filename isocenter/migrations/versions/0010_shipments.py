"""What waits to be sent to destinations."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_PLAIN = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_TIME = sa.DateTime(timezone=True)
_EMPTY, _ZERO = sa.text("''"), sa.text("0")


def upgrade() -> None:
    op.create_table(
        "shipments",
        sa.Column("id", _ID, primary_key=True),
        *(sa.Column(name, _PLAIN, nullable=False) for name in ("destination", "study_uid", "rule", "state")),
        *(sa.Column(name, _TIME, nullable=False) for name in ("queued_at", "changed_at", "due_at")),
        sa.Column("holder", _PLAIN, nullable=False, server_default=_EMPTY),
        *(
            sa.Column(name, sa.Integer, nullable=False, server_default=_ZERO)
            for name in ("attempts", "total", "sent")
        ),
        sa.Column("reason", _PLAIN, nullable=False, server_default=_EMPTY),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_shipments_due", "shipments", ["destination", "state", "due_at"])
    op.create_index("ix_shipments_study", "shipments", ["study_uid"])
    op.create_table(
        "shipment_instances",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("shipment_id", _ID, sa.ForeignKey("shipments.id"), nullable=False),
        *(sa.Column(name, _PLAIN, nullable=False) for name in ("sop_uid", "state")),
        sa.Column("reason", _PLAIN, nullable=False, server_default=_EMPTY),
    )
    op.create_index(
        "ix_shipment_instances_sop", "shipment_instances", ["shipment_id", "sop_uid"], unique=True
    )
    op.create_table(
        "destination_counts",
        sa.Column("destination", _PLAIN, primary_key=True),
        *(
            sa.Column(name, sa.BigInteger, nullable=False, server_default=_ZERO)
            for name in ("sent", "failed")
        ),
        sa.Column("last_sent_at", _TIME),
        sa.Column("last_reason", _PLAIN, nullable=False, server_default=_EMPTY),
    )
