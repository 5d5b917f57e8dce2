"""Work items say which workers can take them, and are found in the order in which they are taken."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column(
        "work_items", sa.Column("resource", sa.String(8), nullable=False, server_default=sa.text("'cpu'"))
    )
    columns = ["performer", "state", "resource", "priority", "due_at"]
    op.create_index("ix_work_items_waiting", "work_items", columns)
