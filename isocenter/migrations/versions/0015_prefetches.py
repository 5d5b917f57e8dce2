"""Of which studies the priors are still to be fetched."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

_PLAIN = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "prefetches",
        sa.Column("rule", _PLAIN, primary_key=True),
        sa.Column("study_uid", _PLAIN, primary_key=True),
        sa.Column("state", _PLAIN, nullable=False),
        *(sa.Column(name, _TIME, nullable=False) for name in ("queued_at", "due_at")),
        *(
            sa.Column(name, sa.Integer, nullable=False, server_default=sa.text("0"))
            for name in ("attempts", "fetched")
        ),
        sa.Column("reason", _PLAIN, nullable=False, server_default=sa.text("''")),
    )
    op.create_index("ix_prefetches_due", "prefetches", ["rule", "state", "due_at"])
