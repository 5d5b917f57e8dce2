"""What models were run on, for the figures of quality."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_NAME = sa.String(64)


def upgrade() -> None:
    op.create_table(
        "observations",
        sa.Column("result_uid", _NAME, primary_key=True),
        sa.Column("model", _NAME, nullable=False),
        sa.Column("model_version", _NAME, nullable=False),
        sa.Column("series_uid", _NAME, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("manufacturer", sa.Text, nullable=False),
        sa.Column("scanner", sa.Text, nullable=False),
        sa.Column("age", sa.Float(53)),
        sa.Column("spacing", sa.Float(53)),
        sa.Column("kvp", sa.Float(53)),
        sa.Column("findings", sa.Integer, nullable=False),
        sa.Column("latency", sa.Float(53)),
    )
    op.create_index("ix_observations_model", "observations", ["model", "model_version", "at"])
