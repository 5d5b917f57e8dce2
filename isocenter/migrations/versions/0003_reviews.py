"""Reviews of findings, signed reports, and which report a finding's report supersedes."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_TIME = sa.DateTime(timezone=True)
_NAME = sa.String(64)


def upgrade() -> None:
    op.add_column("findings", sa.Column("supersedes_uid", _NAME))
    op.create_index("ix_findings_supersedes", "findings", ["supersedes_uid"])
    _reviews()
    _signed_reports()


def _reviews() -> None:
    op.create_table(
        "reviews",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("study_uid", _NAME, nullable=False),
        sa.Column("tracking_uid", _NAME, nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("undoes", _ID),
        sa.Column("reviewer_name", sa.Text, nullable=False),
        sa.Column("reviewer_id", sa.Text, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("correction", sa.JSON),
        sa.Column("addition", sa.JSON),
        sa.Column("result_uid", _NAME),
        sa.Column("work_item_uid", _NAME),
        sa.Column("model", _NAME),
        sa.Column("model_version", _NAME),
        sa.Column("object_uid", _NAME),
    )
    op.create_index("ix_reviews_study", "reviews", ["study_uid"])
    op.create_index("ix_reviews_model", "reviews", ["model", "model_version"])
    op.create_index("ix_reviews_object", "reviews", ["object_uid"])


def _signed_reports() -> None:
    op.create_table(
        "signed_reports",
        sa.Column("sr_uid", _NAME, primary_key=True),
        sa.Column("study_uid", _NAME, nullable=False),
        sa.Column("series_uid", _NAME, nullable=False),
        sa.Column("reviewer_name", sa.Text, nullable=False),
        sa.Column("reviewer_id", sa.Text, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("reviews", sa.JSON, nullable=False),
        sa.Column("drafts", sa.JSON, nullable=False),
        sa.Column("stored", sa.Boolean, nullable=False),
    )
    op.create_index("ix_signed_reports_study", "signed_reports", ["study_uid"])
