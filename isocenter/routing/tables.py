"""The tables of the queues."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, MetaData, Table, text

from storage.sql.tables import BigId, Plain, UtcTime

metadata = MetaData()


def _number(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default=text("0"))


# What of one study waits for one destination, or has gone there.
shipments = Table(
    "shipments",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("destination", Plain, nullable=False),
    Column("study_uid", Plain, nullable=False),
    Column("rule", Plain, nullable=False),
    Column("state", Plain, nullable=False),
    Column("queued_at", UtcTime, nullable=False),
    Column("changed_at", UtcTime, nullable=False),
    # When it is tried next; who tries moves it on by his lease.
    Column("due_at", UtcTime, nullable=False),
    # Who tries: a lease that another has taken over cannot be written to.
    Column("holder", Plain, nullable=False, server_default=text("''")),
    _number("attempts"),
    _number("total"),
    _number("sent"),
    Column("reason", Plain, nullable=False, server_default=text("''")),
    Index("ix_shipments_due", "destination", "state", "due_at"),
    Index("ix_shipments_study", "study_uid"),
    sqlite_autoincrement=True,
)

# Its instances, until all of it has gone.
shipment_instances = Table(
    "shipment_instances",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("shipment_id", BigId, ForeignKey("shipments.id"), nullable=False),
    Column("sop_uid", Plain, nullable=False),
    Column("state", Plain, nullable=False),
    Column("reason", Plain, nullable=False, server_default=text("''")),
    Index("ix_shipment_instances_sop", "shipment_id", "sop_uid", unique=True),
)

destination_counts = Table(
    "destination_counts",
    metadata,
    Column("destination", Plain, primary_key=True),
    Column("sent", BigInteger, nullable=False, server_default=text("0")),
    Column("failed", BigInteger, nullable=False, server_default=text("0")),
    Column("last_sent_at", UtcTime),
    Column("last_reason", Plain, nullable=False, server_default=text("''")),
)

# What a rule wants done for a study: priors fetched, a peer told that it is here.
errands = Table(
    "errands",
    metadata,
    Column("kind", Plain, primary_key=True),
    Column("rule", Plain, primary_key=True),
    Column("study_uid", Plain, primary_key=True),
    Column("state", Plain, nullable=False),
    Column("queued_at", UtcTime, nullable=False),
    # When it is tried next; who tries moves it on by his lease.
    Column("due_at", UtcTime, nullable=False),
    _number("attempts"),
    _number("done"),
    Column("reason", Plain, nullable=False, server_default=text("''")),
    Index("ix_errands_due", "kind", "rule", "state", "due_at"),
)
