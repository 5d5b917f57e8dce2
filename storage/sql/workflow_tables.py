"""Tables of what is asked, planned and done around the instances; they are not in the blobs."""

from sqlalchemy import JSON, Column, ForeignKey, Index, Integer, Table, UniqueConstraint, text

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

# The modality worklist: what is searched often stands in columns, the data set decides.
scheduled_steps = Table(
    "scheduled_steps",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("study_uid", Plain, nullable=False),
    Column("step_id", Plain, nullable=False),
    Column("state", Plain, nullable=False),
    Column("start_date", Plain, nullable=False),
    Column("start_time", Plain, nullable=False),
    Column("patient_id", Plain, nullable=False),
    Column("accession", Plain, nullable=False),
    Column("attributes", JSON, nullable=False),
    Column("changed_at", UtcTime, nullable=False),
    UniqueConstraint("study_uid", "step_id"),
    Index("ix_scheduled_steps_start", "start_date", "start_time", "id"),
    Index("ix_scheduled_steps_patient", "patient_id"),
    Index("ix_scheduled_steps_accession", "accession"),
)

performed_steps = Table(
    "performed_steps",
    metadata,
    Column("sop_uid", Plain, primary_key=True),
    Column("state", Plain, nullable=False),
    Column("peer", Plain, nullable=False),
    Column("attributes", JSON, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("changed_at", UtcTime, nullable=False),
    # Changes with every N-SET: who changes a step changes what he has read.
    Column("version", Integer, nullable=False),
    Index("ix_performed_steps_created", "created_at"),
)

# What ended steps say that there is, by series.
performed_series = Table(
    "performed_series",
    metadata,
    Column("series_uid", Plain, primary_key=True),
    Column("step_uid", Plain, ForeignKey("performed_steps.sop_uid"), primary_key=True),
    Column("instances", JSON, nullable=False),  # SOP Instance UIDs
)

# What others told us that they have (PS3.4 R).
availability_notices = Table(
    "availability_notices",
    metadata,
    Column("sop_uid", Plain, primary_key=True),
    Column("peer", Plain, nullable=False),
    Column("study_uid", Plain, nullable=False),
    Column("attributes", JSON, nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Index("ix_availability_notices_study", "study_uid"),
    Index("ix_availability_notices_received", "received_at"),
)
