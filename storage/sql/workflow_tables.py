"""Tables of what is asked, planned and done around the instances; they are not in the blobs."""

from sqlalchemy import JSON, Column, Index, Integer, Table, UniqueConstraint, text

from storage.sql.tables import BigId, Plain, UtcTime, metadata

commitments = Table(
    "commitments",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("transaction_uid", Plain, nullable=False),
    Column("peer", Plain, nullable=False),
    Column("instances", JSON, nullable=False),  # pairs of SOP Class UID and SOP Instance UID
    Column("state", Plain, nullable=False),
    Column("asked_at", UtcTime, nullable=False),
    # When it is tried next; whoever tries moves it on by the time he may take.
    Column("due_at", UtcTime, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("reason", Plain, nullable=False, server_default=text("''")),
    Column("failed", Integer),
    UniqueConstraint("transaction_uid", "peer"),
    Index("ix_commitments_due", "state", "due_at"),
)
