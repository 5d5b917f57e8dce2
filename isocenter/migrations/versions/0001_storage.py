"""What is stored: studies, series, instances, and what happened to them."""

import logging
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.exc import SQLAlchemyError

revision = "0001"
down_revision = None

_log = logging.getLogger("isocenter.migrations")

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_PLAIN = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    _studies()
    _series()
    _instances()
    _quarantine()
    _events()
    op.create_table(
        "removals",
        sa.Column("blob", _PLAIN, primary_key=True),
        sa.Column("asked_at", _TIME, nullable=False),
        sa.Column("removed_at", _TIME, index=True),
    )
    if op.get_bind().dialect.name == "sqlite":
        _sqlite_trigrams()
    else:
        _postgresql_options()
        _postgresql_trigrams()


def _id() -> sa.Column[Any]:
    return sa.Column("id", _ID, primary_key=True)


def _empty(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, _PLAIN, nullable=False, server_default=sa.text("''")) for name in names]


def _needed(name: str, kind: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def _count(name: str, start: int) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer, nullable=False, server_default=sa.text(str(start)))


def _studies() -> None:
    op.create_table(
        "studies",
        _id(),
        sa.Column("study_uid", _PLAIN, nullable=False, unique=True),
        *_empty("study_date", "study_time", "accession", "study_label", "description", "referring"),
        *_empty("patient_name", "patient_id", "issuer", "birth_date", "sex", "timezone", "pn_norm"),
        sa.Column("pn_ideo", _PLAIN),
        sa.Column("pn_phon", _PLAIN),
        *_empty("ref_norm", "descr_norm"),
    )
    newest: list[Any] = [sa.text("study_date DESC"), sa.text("id DESC"), "pn_norm", "descr_norm"]
    op.create_index("ix_studies_newest", "studies", newest)
    op.create_index("ix_studies_patient", "studies", ["patient_id", "issuer"])
    op.create_index("ix_studies_accession", "studies", ["accession"])
    op.create_index("ix_studies_name", "studies", ["pn_norm"])
    for column in ("pn_ideo", "pn_phon"):
        there = sa.text(f"{column} IS NOT NULL")
        op.create_index(
            f"ix_studies_{column}", "studies", [column], sqlite_where=there, postgresql_where=there
        )


def _series() -> None:
    op.create_table(
        "series",
        _id(),
        sa.Column("study_id", _ID, sa.ForeignKey("studies.id"), nullable=False, index=True),
        _needed("series_uid", _PLAIN),
        *_empty("modality"),
        sa.Column("number", sa.Integer),
        *_empty("description", "descr_norm", "series_date", "series_time", "body_part"),
        *_empty("pps_start_date", "pps_start_time"),
        _count("instances", 0),
        sa.UniqueConstraint("series_uid", "study_id"),
    )
    op.create_table(
        "series_requests",
        sa.Column("series_id", _ID, sa.ForeignKey("series.id"), primary_key=True),
        sa.Column("item", sa.SmallInteger, primary_key=True),
        *_empty("procedure_id", "step_id"),
    )
    op.create_index("ix_series_requests_procedure", "series_requests", ["procedure_id"])
    op.create_index("ix_series_requests_step", "series_requests", ["step_id"])
    op.create_table(
        "series_classes",
        sa.Column("series_id", _ID, sa.ForeignKey("series.id"), primary_key=True),
        sa.Column("sop_class", _PLAIN, primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "study_modality",
        sa.Column("modality", _PLAIN, primary_key=True),
        sa.Column("study_date", _PLAIN, primary_key=True),
        sa.Column("study_id", _ID, sa.ForeignKey("studies.id"), primary_key=True, index=True),
        sqlite_with_rowid=False,
    )


def _stored() -> list[sa.Column[Any]]:
    return [
        _needed("sop_class", _PLAIN),
        _needed("transfer_syntax", _PLAIN),
        _needed("size", sa.BigInteger),
        _needed("digest", sa.LargeBinary),
        _needed("dataset_offset", sa.Integer),
        _needed("version", sa.Integer),
        _needed("number_of_frames", sa.Integer),
        _needed("stored_at", _TIME),
    ]


def _instances() -> None:
    op.create_table(
        "instances",
        _id(),
        sa.Column("series_id", _ID, sa.ForeignKey("series.id"), nullable=False),
        sa.Column("sop_uid", _PLAIN, nullable=False, unique=True),
        *_stored(),
        sa.Column("number", sa.Integer),
        *(sa.Column(name, sa.Integer) for name in ("rows", "columns", "bits_allocated")),
    )
    op.create_index("ix_instances_series", "instances", ["series_id", "number"])
    op.create_table(
        "headers",
        sa.Column("instance_id", _ID, sa.ForeignKey("instances.id"), primary_key=True),
        _needed("json", sa.LargeBinary),
        _needed("layout", sa.LargeBinary),
    )
    op.create_table(
        "superseded",
        _id(),
        sa.Column("instance_id", _ID, sa.ForeignKey("instances.id"), nullable=False),
        *_stored(),
        _needed("json", sa.LargeBinary),
        _needed("layout", sa.LargeBinary),
        sa.UniqueConstraint("instance_id", "version"),
    )


def _quarantine() -> None:
    op.create_table(
        "quarantine",
        _id(),
        sa.Column("fingerprint", _PLAIN, nullable=False, unique=True),
        sa.Column("blob", _PLAIN),
        *_empty("study_uid", "series_uid", "sop_uid", "sop_class", "transfer_syntax"),
        _needed("size", sa.BigInteger),
        _needed("reason", sa.Text),
        *_empty("protocol", "peer", "address"),
        _needed("first_at", _TIME),
        _needed("last_at", _TIME),
        _count("times", 1),
    )
    op.create_index("ix_quarantine_last", "quarantine", ["last_at"])
    op.create_index("ix_quarantine_study", "quarantine", ["study_uid"])


def _events() -> None:
    op.create_table(
        "events",
        _id(),
        sa.Column("xid", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        _needed("kind", _PLAIN),
        *_empty("study_uid", "series_uid"),
        sa.Column("sop_uid", _PLAIN),
        sa.Column("delivery", _PLAIN),
        *_empty("protocol", "peer", "address"),
        _needed("at", _TIME),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_order", "events", ["xid", "id"])


def _sqlite_trigrams() -> None:
    for column in ("pn_norm", "descr_norm"):
        table = f"studies_{column}"
        op.execute(
            f"CREATE VIRTUAL TABLE {table} USING fts5({column}, tokenize='trigram',"
            " content='studies', content_rowid='id')"
        )
        into = f"INSERT INTO {table}"
        enter = f"{into}(rowid, {column}) VALUES (new.id, new.{column});"
        leave = f"{into}({table}, rowid, {column}) VALUES ('delete', old.id, old.{column});"
        op.execute(f"CREATE TRIGGER {table}_insert AFTER INSERT ON studies BEGIN {enter} END")
        op.execute(f"CREATE TRIGGER {table}_delete AFTER DELETE ON studies BEGIN {leave} END")
        op.execute(
            f"CREATE TRIGGER {table}_update AFTER UPDATE OF {column} ON studies BEGIN {leave} {enter} END"
        )


def _postgresql_options() -> None:
    # They are compressed already; in place they would only widen the rows.
    for table in ("headers", "superseded"):
        for column in ("json", "layout"):
            op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STORAGE EXTERNAL")


def _postgresql_trigrams() -> None:
    connection = op.get_bind()
    try:
        with connection.begin_nested():
            op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    except SQLAlchemyError as error:
        _log.warning("no pg_trgm, so parts of names are searched slowly: %s", error.args[0].splitlines()[0])
        return
    for column in ("pn_norm", "descr_norm"):
        # With fastupdate each insert is dearer, and the flush of the pending list stalls for a second.
        op.execute(
            f"CREATE INDEX ix_studies_{column}_trigrams ON studies USING gin ({column} gin_trgm_ops)"
            " WITH (fastupdate=off)"
        )
