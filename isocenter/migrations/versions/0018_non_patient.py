"""Instances that belong to no patient: hanging protocols, palettes, implants, protocols, inventories."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_PLAIN = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "non_patient_instances",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("sop_uid", _PLAIN, nullable=False),
        sa.Column("sop_class", _PLAIN, nullable=False),
        sa.Column("transfer_syntax", _PLAIN, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("json", sa.LargeBinary, nullable=False),
        sa.Column("layout", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("sop_uid"),
    )
    op.create_index("ix_non_patient_class", "non_patient_instances", ["sop_class", "id"])
