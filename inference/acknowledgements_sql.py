"""Who acknowledged critical findings: the first who said so, or gave a verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, select, update

from inference.inserting import insert_if_absent
from inference.reviews import Reviewer
from inference.tables import acknowledgements, findings, reviews
from storage.sql.engine import reading


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Somebody has seen a critical finding."""

    reviewer: Reviewer
    at: datetime


def acknowledge(connection: Connection, study: str, tracking: str, reviewer: Reviewer, at: datetime) -> None:
    """Note that a finding was seen, if it is critical; whoever was noted first stays."""
    rows = update(findings).where(
        findings.c.study_uid == study, findings.c.tracking_uid == tracking, findings.c.critical
    )
    if connection.execute(rows.values(acknowledged=True)).rowcount:
        values = {
            "tracking_uid": tracking,
            "study_uid": study,
            "reviewer_name": reviewer.name,
            "reviewer_id": reviewer.id,
            "at": at,
        }
        insert_if_absent(connection, acknowledgements, values)


def acknowledgements_of(engine: Engine, study: str) -> dict[str, Acknowledgement]:
    """By tracking UID."""
    row = acknowledgements.c
    with reading(engine) as connection:
        found = connection.execute(select(acknowledgements).where(row.study_uid == study)).all()
    return {
        each.tracking_uid: Acknowledgement(Reviewer(each.reviewer_name, each.reviewer_id), each.at)
        for each in found
    }


def seen_before(connection: Connection, study: str, tracking: Sequence[str]) -> set[str]:
    """Which of these tracking UIDs were acknowledged or judged before the index was rebuilt."""
    if not tracking:
        return set()
    acknowledged = select(acknowledgements.c.tracking_uid).where(acknowledgements.c.study_uid == study)
    judged = select(reviews.c.tracking_uid).where(reviews.c.study_uid == study)
    return set(connection.scalars(acknowledged.union(judged))) & set(tracking)
