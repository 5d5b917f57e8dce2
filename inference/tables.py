"""Tables of the work list, its findings, and the triggers; part of the one database and its one history."""

from sqlalchemy import JSON, Column, Float, Index, Integer, LargeBinary, MetaData, String, Table, Text

from storage.sql.tables import BigId, UtcTime

metadata = MetaData()

UID_LENGTH = 64


work_items = Table(
    "work_items",
    metadata,
    Column("uid", String(UID_LENGTH), primary_key=True),
    Column("model", String(64), nullable=False),
    Column("model_version", String(64), nullable=False),
    Column("model_digest", String(64), nullable=False),
    Column("card_digest", String(64), nullable=False),
    Column("study_uid", String(UID_LENGTH), nullable=False),
    Column("series_uid", String(UID_LENGTH), nullable=False),
    Column("subject_uid", String(UID_LENGTH), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("instances", Integer, nullable=False),
    Column("inputs", LargeBinary, nullable=False),  # SOP Instance UIDs, one per line, zlib
    Column("priority", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("due_at", UtcTime, nullable=False),
    Column("received_at", UtcTime),
    Column("attempts", Integer, nullable=False, default=0),
    Column("lease_until", UtcTime),
    Column("transaction_uid", String(UID_LENGTH)),
    Column("worker", String(128), nullable=False, default=""),
    Column("progress", Integer, nullable=False, default=0),
    Column("progress_note", Text, nullable=False, default=""),
    Column("outcome", String(16)),
    Column("reason", Text, nullable=False, default=""),
    Column("started_at", UtcTime),
    Column("finished_at", UtcTime),
    Column("timings", JSON, nullable=False, default=dict),
    Column("results", JSON, nullable=False, default=list),
    Column("predecessor_uid", String(UID_LENGTH)),
    Index("ix_work_items_state", "state", "priority", "due_at"),
    Index("ix_work_items_subject", "subject_uid", "model"),
    Index("ix_work_items_study", "study_uid"),
    Index("ix_work_items_created", "created_at"),
)

findings = Table(
    "findings",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("work_item_uid", String(UID_LENGTH), nullable=False),
    Column("study_uid", String(UID_LENGTH), nullable=False),
    Column("series_uid", String(UID_LENGTH), nullable=False),
    Column("result_uid", String(UID_LENGTH), nullable=False),
    Column("model", String(64), nullable=False),
    Column("model_version", String(64), nullable=False),
    Column("key", Text, nullable=False),
    Column("tracking_uid", String(UID_LENGTH), nullable=False),
    Column("code_value", Text, nullable=False),
    Column("code_scheme", Text, nullable=False),
    Column("code_meaning", Text, nullable=False),
    Column("presence", String(16), nullable=False),
    Column("site", JSON(none_as_null=True)),
    Column("laterality", JSON(none_as_null=True)),
    Column("score", Float(53)),
    Column("score_concept", JSON(none_as_null=True)),
    Column("value", Float(53)),  # of the first measurement, with its unit
    Column("unit", Text),
    Column("measurements", JSON, nullable=False),
    Column("region", JSON(none_as_null=True)),
    Column("segment", JSON(none_as_null=True)),
    Column("image", JSON(none_as_null=True)),
    Column("note", Text, nullable=False),
    Column("flags", JSON, nullable=False),
    Index("ix_findings_study", "study_uid"),
    Index("ix_findings_result", "result_uid"),
    Index("ix_findings_code", "code_value", "presence", "score"),
)

trigger_cursors = Table(
    "trigger_cursors",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("cursor", Text),
)

due_series = Table(
    "due_series",
    metadata,
    Column("series_uid", String(UID_LENGTH), primary_key=True),
    Column("study_uid", String(UID_LENGTH), nullable=False),
    Column("due_at", UtcTime, nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("deliveries", JSON, nullable=False),  # instances by delivery that has not ended
    # Changes with every event: whoever acts on the row removes exactly the version that was read.
    Column("version", Integer, nullable=False),
    Index("ix_due_series_due", "due_at"),
)
