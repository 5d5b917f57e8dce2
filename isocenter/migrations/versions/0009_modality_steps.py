"""What modalities are scheduled to do, and what they say they have done."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_PLAIN = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_TIME = sa.DateTime(timezone=True)
_SEARCHED = ("study_uid", "step_id", "state", "start_date", "start_time", "patient_id", "accession")


def upgrade() -> None:
    _scheduled()
    op.create_table(
        "performed_steps",
        sa.Column("sop_uid", _PLAIN, primary_key=True),
        *(sa.Column(name, _PLAIN, nullable=False) for name in ("state", "peer")),
        sa.Column("attributes", sa.JSON, nullable=False),
        *(sa.Column(name, _TIME, nullable=False) for name in ("created_at", "changed_at")),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_index("ix_performed_steps_created", "performed_steps", ["created_at"])
    op.create_table(
        "performed_series",
        sa.Column("series_uid", _PLAIN, primary_key=True),
        sa.Column("step_uid", _PLAIN, sa.ForeignKey("performed_steps.sop_uid"), primary_key=True),
        sa.Column("instances", sa.JSON, nullable=False),
    )


def _scheduled() -> None:
    op.create_table(
        "scheduled_steps",
        sa.Column("id", _ID, primary_key=True),
        *(sa.Column(name, _PLAIN, nullable=False) for name in _SEARCHED),
        sa.Column("attributes", sa.JSON, nullable=False),
        sa.Column("changed_at", _TIME, nullable=False),
        sa.UniqueConstraint("study_uid", "step_id"),
    )
    op.create_index("ix_scheduled_steps_start", "scheduled_steps", ["start_date", "start_time", "id"])
    op.create_index("ix_scheduled_steps_patient", "scheduled_steps", ["patient_id"])
    op.create_index("ix_scheduled_steps_accession", "scheduled_steps", ["accession"])
