"""What else is done for a study by a rule, and who told us what is available where."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

_PLAIN = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_TIME = sa.DateTime(timezone=True)
_KEPT = "rule, study_uid, state, queued_at, due_at, attempts, reason"


def upgrade() -> None:
    op.create_table(
        "errands",
        *(sa.Column(name, _PLAIN, primary_key=True) for name in ("kind", "rule", "study_uid")),
        sa.Column("state", _PLAIN, nullable=False),
        *(sa.Column(name, _TIME, nullable=False) for name in ("queued_at", "due_at")),
        *(
            sa.Column(name, sa.Integer, nullable=False, server_default=sa.text("0"))
            for name in ("attempts", "done")
        ),
        sa.Column("reason", _PLAIN, nullable=False, server_default=sa.text("''")),
    )
    op.execute(
        f"INSERT INTO errands (kind, {_KEPT}, done) SELECT 'prefetch', {_KEPT}, fetched FROM prefetches"  # noqa: S608 - names of columns
    )
    op.drop_table("prefetches")
    op.create_index("ix_errands_due", "errands", ["kind", "rule", "state", "due_at"])
    op.create_table(
        "availability_notices",
        sa.Column("sop_uid", _PLAIN, primary_key=True),
        sa.Column("peer", _PLAIN, nullable=False),
        sa.Column("study_uid", _PLAIN, nullable=False),
        sa.Column("attributes", sa.JSON, nullable=False),
        sa.Column("received_at", _TIME, nullable=False),
    )
    op.create_index("ix_availability_notices_study", "availability_notices", ["study_uid"])
    op.create_index("ix_availability_notices_received", "availability_notices", ["received_at"])
