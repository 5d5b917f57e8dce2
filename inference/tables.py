"""Tables of the work list, its findings, their reviews, and the triggers, in the one database."""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    false,
    text,
)

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
    # What makes it a Unified Procedure Step for others. One that is not of a model has an empty `model`.
    Column("performer", String(16), nullable=False, server_default=text("'worker'")),
    Column("resource", String(8), nullable=False, server_default=text("'cpu'")),
    Column("label", Text, nullable=False, server_default=text("''")),
    Column("readiness", String(16), nullable=False, server_default=text("'READY'")),
    Column("patient_id", Text, nullable=False, server_default=text("''")),
    Column("attributes", JSON, nullable=False, server_default=text("'{}'")),  # the DICOM JSON Model
    Column("shadow", Boolean, nullable=False, server_default=false()),
    Index("ix_work_items_state", "state", "priority", "due_at"),
    Index("ix_work_items_waiting", "performer", "state", "resource", "priority", "due_at"),
    Index("ix_work_items_subject", "subject_uid", "model"),
    Index("ix_work_items_study", "study_uid"),
    Index("ix_work_items_created", "created_at"),
    Index("ix_work_items_patient", "patient_id"),
)

# Who hears of changes: of one step, of all, of those that match (PS3.4 CC.2.3).
step_subscriptions = Table(
    "step_subscriptions",
    metadata,
    Column("uid", String(UID_LENGTH), primary_key=True),  # of a step, or a well-known one
    Column("aet", String(16), primary_key=True),
    Column("channel", String(8), primary_key=True),
    # False: not this step, in spite of a subscription to all.
    Column("subscribed", Boolean, nullable=False),
    Column("deletion_lock", Boolean, nullable=False),
    Column("keys", JSON, nullable=False),
    Column("suspended_at", UtcTime),
    Index("ix_step_subscriptions_aet", "aet", "channel"),
)

# Reports on their way: written with the change that they tell of, removed when they have been received.
step_reports = Table(
    "step_reports",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("aet", String(16), nullable=False),
    Column("channel", String(8), nullable=False),
    Column("uid", String(UID_LENGTH), nullable=False),
    Column("event_type", Integer, nullable=False),
    Column("attributes", JSON, nullable=False),
    Column("at", UtcTime, nullable=False),
    Index("ix_step_reports_receiver", "channel", "aet", "id"),
    sqlite_autoincrement=True,
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
    Column("supersedes_uid", String(UID_LENGTH)),  # SOP Instance UID of the report before this one
    Column("critical", Boolean, nullable=False, server_default=false()),
    Column("acknowledged", Boolean, nullable=False, server_default=false()),
    Index("ix_findings_study", "study_uid"),
    Index("ix_findings_result", "result_uid"),
    Index("ix_findings_supersedes", "supersedes_uid"),
    Index("ix_findings_model", "model", "presence", "study_uid"),
    Index("ix_findings_code", "code_value", "presence", "score"),
)
# Small, however many findings there are: the worklist asks it every time.
is_unacknowledged = findings.c.critical & ~findings.c.acknowledged
Index(
    "ix_findings_unacknowledged",
    findings.c.study_uid,
    sqlite_where=is_unacknowledged,
    postgresql_where=is_unacknowledged,
)

# Who saw a critical finding first, and when.
acknowledgements = Table(
    "acknowledgements",
    metadata,
    Column("tracking_uid", String(UID_LENGTH), primary_key=True),
    Column("study_uid", String(UID_LENGTH), nullable=False),
    Column("reviewer_name", Text, nullable=False),
    Column("reviewer_id", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Index("ix_acknowledgements_study", "study_uid"),
)

# What versions in shadow found: apart from `findings`, so that nothing that shows findings can show these.
shadow_results = Table(
    "shadow_results",
    metadata,
    Column("work_item_uid", String(UID_LENGTH), primary_key=True),
    Column("findings", JSON, nullable=False),  # records as JSON
)

# Rows are only ever added: an undo is a row too.
reviews = Table(
    "reviews",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("study_uid", String(UID_LENGTH), nullable=False),
    Column("tracking_uid", String(UID_LENGTH), nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("undoes", BigId),
    Column("reviewer_name", Text, nullable=False),
    Column("reviewer_id", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("comment", Text, nullable=False),
    Column("correction", JSON(none_as_null=True)),
    Column("addition", JSON(none_as_null=True)),  # the finding, where a person added it
    # What was judged, so that the figures of a model outlive its reports.
    Column("result_uid", String(UID_LENGTH)),
    Column("work_item_uid", String(UID_LENGTH)),
    Column("model", String(64)),
    Column("model_version", String(64)),
    Column("object_uid", String(UID_LENGTH)),  # SOP Instance UID, where an object brought the review
    Index("ix_reviews_study", "study_uid"),
    Index("ix_reviews_model", "model", "model_version"),
    Index("ix_reviews_object", "object_uid"),
)

signed_reports = Table(
    "signed_reports",
    metadata,
    Column("sr_uid", String(UID_LENGTH), primary_key=True),
    Column("study_uid", String(UID_LENGTH), nullable=False),
    Column("series_uid", String(UID_LENGTH), nullable=False),
    Column("reviewer_name", Text, nullable=False),
    Column("reviewer_id", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("reviews", JSON, nullable=False),  # number of the review by tracking UID
    Column("drafts", JSON, nullable=False),  # SOP Instance UIDs of the reports that were judged
    Column("stored", Boolean, nullable=False),
    Index("ix_signed_reports_study", "study_uid"),
)

# One row per stored report of a model: what it was run on, for the figures of quality.
observations = Table(
    "observations",
    metadata,
    Column("result_uid", String(UID_LENGTH), primary_key=True),
    Column("model", String(64), nullable=False),
    Column("model_version", String(64), nullable=False),
    Column("series_uid", String(UID_LENGTH), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("month", String(7), nullable=False),
    Column("manufacturer", Text, nullable=False),
    Column("scanner", Text, nullable=False),
    Column("age", Float(53)),  # years
    Column("spacing", Float(53)),  # mm, in plane
    Column("kvp", Float(53)),
    Column("findings", Integer, nullable=False),
    Column("latency", Float(53)),  # seconds from the last image to the stored report
    Index("ix_observations_model", "model", "model_version", "at"),
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
    Column("sender", String(128), nullable=False, server_default=text("''")),
    Column("expected", Integer),  # images, as the first one says; 0: it does not; NULL: it was not asked
    Column("exact", Boolean, nullable=False, server_default=false()),  # of the whole series
    Column("ended_at", UtcTime),
    Column("pause", Float(53), nullable=False, server_default=text("0")),  # seconds
    Index("ix_due_series_due", "due_at"),
)

# What triggers have learnt of how senders send.
sender_paces = Table(
    "sender_paces",
    metadata,
    Column("sender", String(128), primary_key=True),
    Column("pauses", JSON, nullable=False),  # the longest in each of the last series, seconds
    Column("changed_at", UtcTime, nullable=False),
)

model_decisions = Table(
    "model_decisions",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("model", String(64), nullable=False),
    Column("version", String(64)),
    Column("standing", String(16), nullable=False),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Index("ix_model_decisions_model", "model", "id"),
)
