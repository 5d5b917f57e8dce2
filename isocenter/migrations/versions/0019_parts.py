"""Which parts run, and when they said so last."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

_PLAIN = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "parts",
        sa.Column("id", _PLAIN, primary_key=True),
        *(sa.Column(name, _PLAIN, nullable=False) for name in ("name", "host", "version")),
        sa.Column("pid", sa.Integer, nullable=False),
        *(sa.Column(name, _TIME, nullable=False) for name in ("started_at", "beat_at")),
    )
