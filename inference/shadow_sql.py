"""What versions in shadow found: kept in a table of its own, which nothing but the comparison reads."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, and_, insert, select

from inference.comparison import MOST_PAIRS, Ended, Pair
from inference.findings_sql import findings_of_work
from inference.records import FindingRecord, record_of
from inference.tables import shadow_results, work_items
from inference.workitems import Outcome, State
from storage.sql.engine import reading

_AT_ONCE = 500


def add_shadow_result(connection: Connection, work_item: str, records: Sequence[FindingRecord]) -> None:
    """Keep what a version in shadow found, in the transaction of `connection`."""
    values = {"work_item_uid": work_item, "findings": [record.as_json() for record in records]}
    connection.execute(insert(shadow_results).values(values))


class SqlShadow:
    """Reads what versions in shadow found, beside what the one that runs found on the same images."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def pairs(self, model: str, current: str, shadow: str, since: datetime | None = None) -> list[Pair]:
        """The newest inputs of a version in shadow, each with what became of it in both versions.

        Args:
            model: name of the model.
            current: the version that runs.
            shadow: the version in shadow.
            since: only work of this moment and later.
        """
        with reading(self._engine) as connection:
            rows = _both(connection, model, current, shadow, since)
            parts = [rows[start : start + _AT_ONCE] for start in range(0, len(rows), _AT_ONCE)]
            return [pair for part in parts for pair in _pairs(connection, part)]


def _both(
    connection: Connection, model: str, current: str, shadow: str, since: datetime | None
) -> list[Row[Any]]:
    mine, theirs = work_items.alias(), work_items.alias()
    same = and_(
        theirs.c.subject_uid == mine.c.subject_uid,
        theirs.c.fingerprint == mine.c.fingerprint,
        theirs.c.model == mine.c.model,
        theirs.c.model_version == current,
        ~theirs.c.shadow,
    )
    columns = ("uid", "state", "outcome", "timings")
    query = (
        select(
            mine.c.study_uid,
            mine.c.series_uid,
            *(mine.c[name].label(f"shadow_{name}") for name in columns),
            *(theirs.c[name].label(f"current_{name}") for name in columns),
        )
        .select_from(mine.outerjoin(theirs, same))
        .where(mine.c.model == model, mine.c.model_version == shadow, mine.c.shadow)
        .order_by(mine.c.created_at.desc(), mine.c.uid, theirs.c.created_at)
    )
    query = query.where(mine.c.created_at >= since) if since else query
    rows = connection.execute(query.limit(MOST_PAIRS))
    # Of work that was tried again the last counts.
    return list({row.shadow_uid: row for row in rows}.values())


def _pairs(connection: Connection, rows: Sequence[Row[Any]]) -> list[Pair]:
    wanted = [row.current_uid for row in rows if row.current_state == State.COMPLETED]
    current = findings_of_work(connection, wanted)
    own = [row.shadow_uid for row in rows]
    query = select(shadow_results).where(shadow_results.c.work_item_uid.in_(own))
    shadow = {row.work_item_uid: tuple(map(record_of, row.findings)) for row in connection.execute(query)}
    return [
        Pair(
            row.study_uid,
            row.series_uid,
            current=_ended(row, "current", current),
            shadow=_ended(row, "shadow", shadow),
        )
        for row in rows
    ]


def _ended(row: Row[Any], which: str, found: dict[str, tuple[FindingRecord, ...]]) -> Ended:
    uid, outcome, timings = (getattr(row, f"{which}_{name}") for name in ("uid", "outcome", "timings"))
    return Ended(Outcome(outcome) if outcome else None, found.get(uid, ()), timings or {})
