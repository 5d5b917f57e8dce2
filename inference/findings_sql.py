"""The findings table: what was found in which study, by which model."""

from collections import defaultdict
from collections.abc import Container, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, RowMapping, delete, exists, insert, or_, select

from inference.acknowledgements_sql import seen_before
from inference.findings import Code, Score
from inference.records import (
    FindingRecord,
    ImageReference,
    SegmentReference,
    code_of,
    measurement_of,
    region_of,
)
from inference.tables import findings, work_items
from inference.workitems import State
from storage.sql.engine import reading, writing


def add_findings(connection: Connection, records: Sequence[FindingRecord]) -> None:
    """Insert the rows of one report, in the transaction of `connection`."""
    if records:
        # Only of critical ones: reviews are found by study, not by finding.
        critical = [record.tracking_uid for record in records if record.critical]
        seen = seen_before(connection, records[0].study, critical)
        connection.execute(insert(findings), [_row(record, seen) for record in records])


def remove_findings(connection: Connection, reports: Sequence[str]) -> None:
    """Remove the rows of reports that are gone, in the transaction of `connection`."""
    if reports:
        connection.execute(delete(findings).where(findings.c.result_uid.in_(reports)))


def findings_of_work(connection: Connection, work: Sequence[str]) -> dict[str, tuple[FindingRecord, ...]]:
    """The findings of work items by their UIDs, in the transaction of `connection`."""
    query = select(findings).where(findings.c.work_item_uid.in_(work)).order_by(findings.c.id)
    found: dict[str, list[FindingRecord]] = defaultdict(list)
    for row in connection.execute(query).mappings():
        found[row["work_item_uid"]].append(_record(row))
    return {uid: tuple(records) for uid, records in found.items()}


class SqlFindings:
    """Reads findings, and rebuilds them from reports."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def of_study(self, study: str, *, superseded: bool = False) -> tuple[FindingRecord, ...]:
        """The findings of a study, oldest report first, in the order of each report.

        Args:
            study: Study Instance UID.
            superseded: Also those of reports that a later run of the same model on the same series replaced.
        """
        query = select(findings).where(findings.c.study_uid == study).order_by(findings.c.id)
        if not superseded:
            query = query.where(~has_successor())
        with reading(self._engine) as connection:
            return tuple(_record(row) for row in connection.execute(query).mappings())

    def studies_with(self, code: str, min_score: float | None = None) -> tuple[str, ...]:
        """Study Instance UIDs in which the finding of this code value is present, by at least this score."""
        query = select(findings.c.study_uid).distinct().order_by(findings.c.study_uid)
        query = query.where(findings.c.code_value == code, findings.c.presence == "present")
        if min_score is not None:
            query = query.where(findings.c.score >= min_score)
        with reading(self._engine) as connection:
            return tuple(connection.scalars(query))

    def replace_report(self, result: str, records: Sequence[FindingRecord]) -> None:
        """Make the rows of the report `result` these: used when the index is rebuilt from the objects."""
        with writing(self._engine) as connection:
            remove_findings(connection, [result])
            add_findings(connection, records)


def has_successor() -> ColumnElement[bool]:
    """By what reports say of their predecessors, and by the work list.

    The work list alone knows of a report that was begun before another and came after it; it is not rebuilt
    from the objects, so that reports alone know after a reindex.
    """
    successor = findings.alias()
    named = exists(select(1).where(successor.c.supersedes_uid == findings.c.result_uid))
    return or_(named, _has_later_work())


def _has_later_work() -> ColumnElement[bool]:
    mine, later = work_items.alias(), work_items.alias()
    return exists(
        select(1)
        .select_from(mine.join(later, mine.c.subject_uid == later.c.subject_uid))
        .where(
            mine.c.uid == findings.c.work_item_uid,
            later.c.model == mine.c.model,
            later.c.state == State.COMPLETED,
            ~later.c.shadow,
            later.c.created_at > mine.c.created_at,
        )
    )


def _row(record: FindingRecord, seen: Container[str]) -> dict[str, Any]:
    values = asdict(record)
    first = record.measurements[0] if record.measurements else None
    return {
        "work_item_uid": record.work_item,
        "study_uid": record.study,
        "series_uid": record.series,
        "result_uid": record.result,
        "model": record.model,
        "model_version": record.version,
        "key": record.key,
        "tracking_uid": record.tracking_uid,
        "code_value": record.code.value,
        "code_scheme": record.code.scheme,
        "code_meaning": record.code.meaning,
        "presence": record.presence,
        "score": record.score.value if record.score else None,
        "score_concept": asdict(record.score.concept) if record.score else None,
        "value": first.value if first else None,
        "unit": first.unit.value if first else None,
        **{
            name: values[name]
            for name in ("site", "laterality", "measurements", "region", "segment", "image")
        },
        "note": record.note,
        "flags": list(record.flags),
        "supersedes_uid": record.supersedes,
        "critical": record.critical,
        "acknowledged": record.tracking_uid in seen,
    }


def _record(row: RowMapping) -> FindingRecord:
    concept = code_of(row["score_concept"])
    segment, image = row["segment"], row["image"]
    return FindingRecord(
        work_item=row["work_item_uid"],
        study=row["study_uid"],
        series=row["series_uid"],
        result=row["result_uid"],
        model=row["model"],
        version=row["model_version"],
        key=row["key"],
        tracking_uid=row["tracking_uid"],
        code=Code(row["code_value"], row["code_scheme"], row["code_meaning"]),
        presence=row["presence"],
        site=code_of(row["site"]),
        laterality=code_of(row["laterality"]),
        score=Score(row["score"], concept) if concept else None,
        measurements=tuple(measurement_of(value) for value in row["measurements"]),
        region=region_of(row["region"]),
        segment=SegmentReference(**segment) if segment else None,
        image=ImageReference(**image) if image else None,
        note=row["note"],
        flags=tuple(row["flags"]),
        supersedes=row["supersedes_uid"],
        critical=row["critical"],
    )
