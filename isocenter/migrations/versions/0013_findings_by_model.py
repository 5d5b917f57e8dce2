"""Findings are searched by their model."""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_index("ix_findings_model", "findings", ["model", "presence", "study_uid"])
