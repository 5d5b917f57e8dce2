"""Critical findings, and who acknowledged them."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

_NAME = sa.String(64)


def upgrade() -> None:
    for name in ("critical", "acknowledged"):
        op.add_column("findings", sa.Column(name, sa.Boolean, nullable=False, server_default=sa.false()))
    rows = sa.table("findings", sa.column("critical", sa.Boolean), sa.column("acknowledged", sa.Boolean))
    waits = rows.c.critical & ~rows.c.acknowledged
    op.create_index(
        "ix_findings_unacknowledged", "findings", ["study_uid"], sqlite_where=waits, postgresql_where=waits
    )
    op.create_table(
        "acknowledgements",
        sa.Column("tracking_uid", _NAME, primary_key=True),
        sa.Column("study_uid", _NAME, nullable=False),
        sa.Column("reviewer_name", sa.Text, nullable=False),
        sa.Column("reviewer_id", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_acknowledgements_study", "acknowledgements", ["study_uid"])
