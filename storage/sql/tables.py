"""The tables. `isocenter/migrations` creates them; a test keeps the two the same.

Studies, series and instances carry what is searched. Keys between them are numbers: a UID of 50 characters in
every row and index would double their size. What is looked up rarely or as a whole stands in side tables.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

metadata = MetaData()

BigId = BigInteger().with_variant(Integer, "sqlite")
# Compared byte by byte in both databases, so that a prefix is a range.
Plain = Text().with_variant(Text(collation="C"), "postgresql")


class UtcTime(TypeDecorator[datetime]):
    """A moment; SQLite forgets the zone, we do not."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:  # noqa: ARG002 - its signature
        return value and value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - its signature
        if value is None:
            return None
        moment: datetime = value
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _empty(name: str) -> Column[str]:
    return Column(name, Plain, nullable=False, server_default=text("''"))


studies = Table(
    "studies",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("study_uid", Plain, nullable=False, unique=True),
    # As stored, for the answers. An attribute that is absent or empty is ''.
    _empty("study_date"),
    _empty("study_time"),
    _empty("accession"),
    _empty("study_label"),  # StudyID; `study_id` is our key
    _empty("description"),
    _empty("referring"),
    _empty("patient_name"),
    _empty("patient_id"),
    _empty("issuer"),
    _empty("birth_date"),
    _empty("sex"),
    _empty("timezone"),
    # Normalised by storage.names, for matching. All three groups of a name, and each of the other two.
    _empty("pn_norm"),
    Column("pn_ideo", Plain),
    Column("pn_phon", Plain),
    _empty("ref_norm"),
    _empty("descr_norm"),
)
Index(
    "ix_studies_newest",
    studies.c.study_date.desc(),
    studies.c.id.desc(),
    # Covering, so that walking it for a name or description that no other index finds stays bounded.
    studies.c.pn_norm,
    studies.c.descr_norm,
)
Index("ix_studies_patient", studies.c.patient_id, studies.c.issuer)
Index("ix_studies_accession", studies.c.accession)
Index("ix_studies_name", studies.c.pn_norm)
for _column in (studies.c.pn_ideo, studies.c.pn_phon):
    _there = _column.is_not(None)
    Index(f"ix_studies_{_column.name}", _column, sqlite_where=_there, postgresql_where=_there)

series = Table(
    "series",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("study_id", BigId, ForeignKey("studies.id"), nullable=False, index=True),
    Column("series_uid", Plain, nullable=False),
    _empty("modality"),
    Column("number", Integer),
    _empty("description"),
    _empty("descr_norm"),
    _empty("series_date"),
    _empty("series_time"),
    _empty("body_part"),
    _empty("pps_start_date"),
    _empty("pps_start_time"),
    # Not on the study too: a counter on a hot row halves the rate of several writers. Never indexed.
    Column("instances", Integer, nullable=False, server_default=text("0")),
    # The same SeriesInstanceUID in two studies is wrong, yet seen after careless anonymisation; we keep both.
    UniqueConstraint("series_uid", "study_id"),
)

series_requests = Table(
    "series_requests",
    metadata,
    Column("series_id", BigId, ForeignKey("series.id"), primary_key=True),
    Column("item", SmallInteger, primary_key=True),
    _empty("procedure_id"),
    _empty("step_id"),
)
Index("ix_series_requests_procedure", series_requests.c.procedure_id)
Index("ix_series_requests_step", series_requests.c.step_id)

series_classes = Table(
    "series_classes",
    metadata,
    Column("series_id", BigId, ForeignKey("series.id"), primary_key=True),
    Column("sop_class", Plain, primary_key=True),
    sqlite_with_rowid=False,
)

study_modality = Table(
    "study_modality",
    metadata,
    Column("modality", Plain, primary_key=True),
    # Repeated from the study on purpose: newest first within a modality is one range of this key.
    Column("study_date", Plain, primary_key=True),
    Column("study_id", BigId, ForeignKey("studies.id"), primary_key=True, index=True),
    sqlite_with_rowid=False,
)


def _stored() -> list[Column[Any]]:
    return [
        Column("sop_class", Plain, nullable=False),
        Column("transfer_syntax", Plain, nullable=False),
        Column("size", BigInteger, nullable=False),
        Column("digest", LargeBinary, nullable=False),
        Column("dataset_offset", Integer, nullable=False),
        Column("version", Integer, nullable=False),
        Column("number_of_frames", Integer, nullable=False),
        Column("stored_at", UtcTime, nullable=False),
    ]


instances = Table(
    "instances",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("series_id", BigId, ForeignKey("series.id"), nullable=False),
    Column("sop_uid", Plain, nullable=False, unique=True),
    # The name of the blob follows from the UIDs and the version; it would be two thirds of the row.
    *_stored(),
    Column("number", Integer),
    Column("rows", Integer),
    Column("columns", Integer),
    Column("bits_allocated", Integer),
)
Index("ix_instances_series", instances.c.series_id, instances.c.number)

# Beside the rows: a scan of instances must not read headers.
headers = Table(
    "headers",
    metadata,
    Column("instance_id", BigId, ForeignKey("instances.id"), primary_key=True),
    Column("json", LargeBinary, nullable=False),
    Column("layout", LargeBinary, nullable=False),
)

# Versions that were replaced, whole, so that they can be served as long as they are kept.
superseded = Table(
    "superseded",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("instance_id", BigId, ForeignKey("instances.id"), nullable=False),
    *_stored(),
    Column("json", LargeBinary, nullable=False),
    Column("layout", LargeBinary, nullable=False),
    UniqueConstraint("instance_id", "version"),
)

# Of no patient (PS3.4 GG): beside the studies, whole in one row.
non_patient_instances = Table(
    "non_patient_instances",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("sop_uid", Plain, nullable=False, unique=True),
    Column("sop_class", Plain, nullable=False),
    Column("transfer_syntax", Plain, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("stored_at", UtcTime, nullable=False),
    Column("json", LargeBinary, nullable=False),
    Column("layout", LargeBinary, nullable=False),
)
Index("ix_non_patient_class", non_patient_instances.c.sop_class, non_patient_instances.c.id)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", BigId, primary_key=True),
    # The blob that keeps the bytes, or a digest of sender and reason where there is nothing worth keeping:
    # whoever sends the same again adds to `times`, not to the table.
    Column("fingerprint", Plain, nullable=False, unique=True),
    Column("blob", Plain),
    _empty("study_uid"),
    _empty("series_uid"),
    _empty("sop_uid"),
    _empty("sop_class"),
    _empty("transfer_syntax"),
    Column("size", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    _empty("protocol"),
    _empty("peer"),
    _empty("address"),
    Column("first_at", UtcTime, nullable=False),
    Column("last_at", UtcTime, nullable=False),
    Column("times", Integer, nullable=False, server_default=text("1")),
)
Index("ix_quarantine_last", quarantine.c.last_at)
Index("ix_quarantine_study", quarantine.c.study_uid)

events = Table(
    "events",
    metadata,
    Column("id", BigId, primary_key=True),
    # Which transaction wrote it: numbers alone become visible out of order (PostgreSQL; 0 in SQLite).
    Column("xid", BigInteger, nullable=False, server_default=text("0")),
    Column("kind", Plain, nullable=False),
    _empty("study_uid"),
    _empty("series_uid"),
    Column("sop_uid", Plain),
    Column("delivery", Plain),
    _empty("protocol"),
    _empty("peer"),
    _empty("address"),
    Column("at", UtcTime, nullable=False),
    sqlite_autoincrement=True,
)
Index("ix_events_order", events.c.xid, events.c.id)

# Blobs on their way out, and for a while those that are gone, so that nobody takes such a name for his own.
removals = Table(
    "removals",
    metadata,
    Column("blob", Plain, primary_key=True),
    Column("asked_at", UtcTime, nullable=False),
    Column("removed_at", UtcTime, index=True),
    # Where it can still be brought back: the deletion it belongs to, and when that time is over.
    Column("due_at", UtcTime),
    Column("tombstone", Plain, index=True),
)

# Deletions that can be taken back.
tombstones = Table(
    "tombstones",
    metadata,
    Column("id", Plain, primary_key=True),
    Column("study_uid", Plain, nullable=False),
    Column("series_uid", Plain),
    Column("sop_uid", Plain),
    Column("instances", Integer, nullable=False),
    Column("deleted_at", UtcTime, nullable=False),
    Column("due_at", UtcTime, nullable=False),
    _empty("protocol"),
    _empty("peer"),
    _empty("address"),
    # There is a blob beside the objects that says the same.
    Column("written", Boolean, nullable=False),
)

# What is out of use, by the Key Object Selection documents that say so; each lists itself too.
rejections = Table(
    "rejections",
    metadata,
    Column("note_uid", Plain, primary_key=True),
    Column("sop_uid", Plain, primary_key=True),
    Column("study_uid", Plain, nullable=False),
    Column("series_uid", Plain, nullable=False),
    Column("code", Plain, nullable=False),
    Index("ix_rejections_sop", "sop_uid"),
    Index("ix_rejections_series", "series_uid"),
    Index("ix_rejections_study", "study_uid"),
)
