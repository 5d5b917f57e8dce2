"""What rejection notes hide."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"

_PLAIN = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "rejections",
        *(sa.Column(name, _PLAIN, primary_key=True) for name in ("note_uid", "sop_uid")),
        *(sa.Column(name, _PLAIN, nullable=False) for name in ("study_uid", "series_uid", "code")),
    )
    for name in ("sop", "series", "study"):
        op.create_index(f"ix_rejections_{name}", "rejections", [f"{name}_uid"])
