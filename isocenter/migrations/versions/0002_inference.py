"""The work list, its findings, and the series that wait for their models."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_TIME = sa.DateTime(timezone=True)
_NAME = sa.String(64)


def upgrade() -> None:
    _work_items()
    _findings()
    op.create_table(
        "trigger_cursors",
        sa.Column("name", _NAME, primary_key=True),
        *_optional(sa.Text, "cursor"),
    )
    op.create_table(
        "due_series",
        sa.Column("series_uid", _NAME, primary_key=True),
        *_needed(_NAME, "study_uid"),
        *_needed(_TIME, "due_at", "received_at"),
        *_needed(sa.JSON, "deliveries"),
        *_needed(sa.Integer, "version"),
    )
    op.create_index("ix_due_series_due", "due_series", ["due_at"])


def _work_items() -> None:
    op.create_table(
        "work_items",
        sa.Column("uid", _NAME, primary_key=True),
        *_needed(_NAME, "model", "model_version", "model_digest", "card_digest"),
        *_needed(_NAME, "study_uid", "series_uid", "subject_uid", "fingerprint"),
        *_needed(sa.Integer, "instances", "priority", "attempts", "progress"),
        *_needed(sa.LargeBinary, "inputs"),
        *_needed(sa.String(16), "state"),
        *_needed(_TIME, "created_at", "due_at"),
        *_needed(sa.String(128), "worker"),
        *_needed(sa.Text, "progress_note", "reason"),
        *_needed(sa.JSON, "timings", "results"),
        *_optional(_NAME, "transaction_uid", "predecessor_uid"),
        *_optional(sa.String(16), "outcome"),
        *_optional(_TIME, "received_at", "lease_until", "started_at", "finished_at"),
    )
    op.create_index("ix_work_items_state", "work_items", ["state", "priority", "due_at"])
    op.create_index("ix_work_items_subject", "work_items", ["subject_uid", "model"])
    op.create_index("ix_work_items_study", "work_items", ["study_uid"])
    op.create_index("ix_work_items_created", "work_items", ["created_at"])


def _findings() -> None:
    op.create_table(
        "findings",
        sa.Column("id", _ID, primary_key=True),
        *_needed(_NAME, "work_item_uid", "study_uid", "series_uid", "result_uid", "tracking_uid"),
        *_needed(_NAME, "model", "model_version"),
        *_needed(sa.Text, "key", "code_value", "code_scheme", "code_meaning", "note"),
        *_needed(sa.String(16), "presence"),
        *_needed(sa.JSON, "measurements", "flags"),
        *_optional(sa.Float(53), "score", "value"),
        *_optional(sa.Text, "unit"),
        *_optional(sa.JSON, "site", "laterality", "score_concept", "region", "segment", "image"),
    )
    op.create_index("ix_findings_study", "findings", ["study_uid"])
    op.create_index("ix_findings_result", "findings", ["result_uid"])
    op.create_index("ix_findings_code", "findings", ["code_value", "presence", "score"])


def _needed(kind: Any, *names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind, nullable=False) for name in names]


def _optional(kind: Any, *names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind) for name in names]
