"""The history of reviews and the signed reports, in SQL."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, exists, insert, select, update

from inference.acknowledgements_sql import Acknowledgement, acknowledge, acknowledgements_of
from inference.inserting import insert_if_absent
from inference.records import code_of, measurement_of, record_of, region_of
from inference.reviews import (
    Correction,
    NewReview,
    Review,
    Reviewer,
    SignedReport,
    UnknownReview,
    Verdict,
)
from inference.tables import reviews, signed_reports
from inference.workitems_sql import utc_now
from storage.sql.engine import reading, writing


class SqlReviews:
    """Adds to the history of reviews, and reads it; any number of processes may use one database.

    Args:
        engine: from `storage.sql.engine.connect`.
        clock: the time now, aware.
    """

    def __init__(self, engine: Engine, clock: Callable[[], datetime] = utc_now) -> None:
        self._engine = engine
        self._clock = clock

    def add(self, new: NewReview, at: datetime | None = None) -> Review:
        """Add a row to the history; `at` is now unless the review is an old one."""
        with writing(self._engine) as connection:
            return _add(connection, new, at or self._clock())

    def acknowledge(self, study: str, finding: str, reviewer: Reviewer) -> None:
        """Note who has seen a critical finding; whoever came first stays."""
        with writing(self._engine) as connection:
            acknowledge(connection, study, finding, reviewer, self._clock())

    def acknowledged(self, study: str) -> Mapping[str, Acknowledgement]:
        """Who has seen the critical findings of a study, by tracking UID."""
        return acknowledgements_of(self._engine, study)

    def add_object(self, sop: str, news: Sequence[NewReview], at: datetime) -> bool:
        """Add all that an object says, once; False when it is there already.

        Args:
            sop: SOP Instance UID of the object.
            news: rows with `object` set to it.
            at: when it came.
        """
        with writing(self._engine, alone=True) as connection:
            if connection.scalar(select(exists().where(reviews.c.object_uid == sop))):
                return False
            for new in news:
                _add(connection, new, at)
            return True

    def undo(self, study: str, finding: str, review: int, reviewer: Reviewer, comment: str = "") -> Review:
        """Make a row count no more, by another row.

        Raises:
            UnknownReview: the finding has no such review, or it was undone before.
        """
        row = reviews.c
        mine = (row.study_uid == study, row.tracking_uid == finding, row.verdict != Verdict.UNDO)
        undone = reviews.alias()
        query = select(reviews).where(
            row.id == review, *mine, ~exists(select(1).where(undone.c.undoes == review))
        )
        with writing(self._engine, alone=True) as connection:
            found = connection.execute(query).mappings().one_or_none()
            if found is None:
                raise UnknownReview(f"finding {finding} has no review {review} that could be undone")
            new = NewReview(study, finding, Verdict.UNDO, reviewer, comment, undoes=review)
            return _add(connection, new, self._clock(), judged=_judged(found))

    def of_study(self, study: str) -> tuple[Review, ...]:
        """The whole history of a study, oldest first."""
        query = select(reviews).where(reviews.c.study_uid == study).order_by(reviews.c.id)
        with reading(self._engine) as connection:
            return tuple(_review(row) for row in connection.execute(query).mappings())

    def studies(self, since: datetime | None = None) -> list[str]:
        """Study Instance UIDs of what was reviewed or signed, of this moment or later where one is given."""
        asked = [select(table.c.study_uid, table.c.at).subquery() for table in (reviews, signed_reports)]
        queries = [select(each.c.study_uid).distinct() for each in asked]
        if since is not None:
            queries = [query.where(each.c.at >= since) for query, each in zip(queries, asked, strict=True)]
        with reading(self._engine) as connection:
            return sorted({study for query in queries for study in connection.scalars(query)})

    def signed(self, study: str) -> tuple[SignedReport, ...]:
        """The signed reports of a study that were stored, oldest first."""
        row = signed_reports.c
        query = select(signed_reports).where(row.study_uid == study, row.stored).order_by(row.at, row.sr_uid)
        with reading(self._engine) as connection:
            return tuple(_signed(each) for each in connection.execute(query).mappings())

    def knows_signed(self, sr: str) -> bool:
        """Whether the report was signed here, as far as this database can tell."""
        query = select(exists().where(signed_reports.c.sr_uid == sr))
        with reading(self._engine) as connection:
            return bool(connection.scalar(query))

    def begin_signing(self, report: SignedReport) -> SignedReport:
        """Note that the report is about to be stored; the one noted first under this UID is what counts."""
        values = {
            "sr_uid": report.sr,
            "study_uid": report.study,
            "series_uid": report.series,
            "reviewer_name": report.reviewer.name,
            "reviewer_id": report.reviewer.id,
            "at": report.at,
            "reviews": dict(report.reviews),
            "drafts": list(report.drafts),
            "stored": False,
        }
        query = select(signed_reports).where(signed_reports.c.sr_uid == report.sr)
        with writing(self._engine) as connection:
            insert_if_absent(connection, signed_reports, values)
            return _signed(connection.execute(query).mappings().one())

    def end_signing(self, sr: str) -> None:
        """Note that the report is stored."""
        with writing(self._engine) as connection:
            connection.execute(
                update(signed_reports).where(signed_reports.c.sr_uid == sr).values(stored=True)
            )


def _add(
    connection: Connection, new: NewReview, at: datetime, judged: Mapping[str, Any] | None = None
) -> Review:
    if new.verdict is not Verdict.UNDO:
        acknowledge(connection, new.study, new.finding, new.reviewer, at)
    values = _row(new, at) | dict(judged or {})
    number = connection.execute(insert(reviews).values(values).returning(reviews.c.id)).scalar_one()
    found = connection.execute(select(reviews).where(reviews.c.id == number)).mappings().one()
    return _review(found)


def _row(new: NewReview, at: datetime) -> dict[str, Any]:
    judged = new.judged
    return {
        "study_uid": new.study,
        "tracking_uid": new.finding,
        "verdict": new.verdict.value,
        "undoes": new.undoes,
        "reviewer_name": new.reviewer.name,
        "reviewer_id": new.reviewer.id,
        "at": at,
        "comment": new.comment,
        "correction": asdict(new.correction) if new.correction else None,
        "addition": new.addition.as_json() if new.addition else None,
        "object_uid": new.object,
        "result_uid": judged.result if judged else None,
        "work_item_uid": judged.work_item if judged else None,
        "model": judged.model if judged else None,
        "model_version": judged.version if judged else None,
    }


def _judged(row: RowMapping) -> dict[str, Any]:
    return {name: row[name] for name in ("result_uid", "work_item_uid", "model", "model_version")}


def _review(row: RowMapping) -> Review:
    return Review(
        id=row["id"],
        finding=row["tracking_uid"],
        verdict=Verdict(row["verdict"]),
        reviewer=Reviewer(row["reviewer_name"], row["reviewer_id"]),
        at=row["at"],
        comment=row["comment"],
        correction=_correction(row["correction"]),
        addition=record_of(row["addition"]) if row["addition"] else None,
        undoes=row["undoes"],
        object=row["object_uid"],
    )


def _correction(value: Mapping[str, Any] | None) -> Correction | None:
    if value is None:
        return None
    measurements = value["measurements"]
    return Correction(
        code_of(value["code"]),
        None if measurements is None else tuple(measurement_of(each) for each in measurements),
        region_of(value["region"]),
    )


def _signed(row: RowMapping) -> SignedReport:
    return SignedReport(
        sr=row["sr_uid"],
        study=row["study_uid"],
        series=row["series_uid"],
        reviewer=Reviewer(row["reviewer_name"], row["reviewer_id"]),
        at=row["at"],
        reviews=row["reviews"],
        drafts=tuple(row["drafts"]),
    )
