"""Series that wait until they are complete, and how far the events have been read."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Engine, RowMapping, and_, delete, select, update

from inference.completeness import Arrivals
from inference.expected import Expected
from inference.findings_sql import remove_findings
from inference.inserting import insert_if_absent
from inference.pace import remembered
from inference.tables import due_series, sender_paces, trigger_cursors
from storage.sql.engine import reading, writing


def take(connection: Connection, arrivals: Arrivals) -> bool:
    """Remove the row if it is still as it was read, in the transaction of `connection`."""
    return connection.execute(delete(due_series).where(_as_read(arrivals))).rowcount == 1


def learn(connection: Connection, arrivals: Arrivals, now: datetime) -> None:
    """Remember how the sender of a series has sent it, in the transaction of `connection`."""
    row = sender_paces.c
    known = connection.scalar(select(row.pauses).where(row.sender == arrivals.sender))
    values = {"pauses": remembered(known or [], arrivals.pause), "changed_at": now}
    if known is None:
        insert_if_absent(connection, sender_paces, {"sender": arrivals.sender, **values})
    else:
        connection.execute(update(sender_paces).where(row.sender == arrivals.sender).values(values))


class SqlArrivals:
    """The state of the triggers; any number of processes may use one database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def cursor(self, name: str) -> str | None:
        """How far the reader called `name` has come; None before its first move."""
        with reading(self._engine) as connection:
            return connection.scalar(select(trigger_cursors.c.cursor).where(trigger_cursors.c.name == name))

    def waiting(self, series: Iterable[str]) -> dict[str, Arrivals]:
        """Those of `series` (Series Instance UIDs) that wait."""
        query = select(due_series).where(due_series.c.series_uid.in_(sorted(set(series))))
        with reading(self._engine) as connection:
            return {row["series_uid"]: _arrivals(row) for row in connection.execute(query).mappings()}

    def pauses(self, senders: Iterable[str]) -> dict[str, list[float]]:
        """What was learnt of senders: the longest pause in each of their last series, in seconds."""
        asked = sender_paces.c.sender.in_(sorted(set(senders)))
        query = select(sender_paces.c.sender, sender_paces.c.pauses).where(asked)
        with reading(self._engine) as connection:
            return {row.sender: row.pauses for row in connection.execute(query)}

    def due(self, now: datetime, limit: int = 100) -> tuple[Arrivals, ...]:
        """Series whose time has come, in the order of their times."""
        query = select(due_series).where(due_series.c.due_at <= now).order_by(due_series.c.due_at)
        with reading(self._engine) as connection:
            return tuple(_arrivals(row) for row in connection.execute(query.limit(limit)).mappings())

    def advance(
        self,
        name: str,
        before: str | None,
        after: str,
        *,
        known: Mapping[str, Arrivals],
        changed: Sequence[Arrivals],
        deleted: Sequence[str],
    ) -> bool:
        """Move the cursor from `before` to `after` and store what the events between them changed.

        Args:
            name: of the reader.
            before: the cursor as it was read.
            after: the cursor of the last event.
            known: the series concerned as they were read.
            changed: those of them that are different now, and new ones.
            deleted: SOP Instance UIDs that are gone; where they were reports, so are their findings.

        Returns:
            False, and nothing is changed, when the cursor or one of the rows in `known` was moved by another
            process: then the events are read again.
        """
        try:
            with writing(self._engine) as connection:
                _move(connection, name, before, after)
                for each in changed:
                    _store(connection, known.get(each.series), each)
                remove_findings(connection, deleted)
        except _MovedByAnother:
            return False
        return True

    def postpone(self, arrivals: Arrivals, delay: timedelta) -> None:
        """Ask again for the series after `delay`, unless it has changed meanwhile."""
        later = {"due_at": arrivals.due_at + delay, "version": arrivals.version + 1}
        with writing(self._engine) as connection:
            connection.execute(update(due_series).where(_as_read(arrivals)).values(later))


class _MovedByAnother(Exception):
    """What was read is no longer so; the transaction is rolled back."""


def _move(connection: Connection, name: str, before: str | None, after: str) -> None:
    row = trigger_cursors.c
    if before is None:
        moved = insert_if_absent(connection, trigger_cursors, {"name": name, "cursor": after})
    else:
        here = and_(row.name == name, row.cursor == before)
        moved = connection.execute(update(trigger_cursors).where(here).values(cursor=after)).rowcount == 1
    if not moved:
        raise _MovedByAnother


def _store(connection: Connection, known: Arrivals | None, arrivals: Arrivals) -> None:
    values = {
        "series_uid": arrivals.series,
        "study_uid": arrivals.study,
        "due_at": arrivals.due_at,
        "received_at": arrivals.received_at,
        "deliveries": dict(arrivals.deliveries),
        "version": arrivals.version,
        "sender": arrivals.sender,
        "expected": arrivals.expected.images if arrivals.expected else None,
        "exact": arrivals.expected is not None and arrivals.expected.exact,
        "ended_at": arrivals.ended_at,
        "pause": arrivals.pause.total_seconds(),
    }
    if known is None:
        stored = insert_if_absent(connection, due_series, values)
    else:
        stored = connection.execute(update(due_series).where(_as_read(known)).values(values)).rowcount == 1
    if not stored:
        raise _MovedByAnother


def _as_read(arrivals: Arrivals) -> ColumnElement[bool]:
    row = due_series.c
    # Versions begin anew when a series waits again, times do not come again: together they are unique.
    same = and_(row.version == arrivals.version, row.due_at == arrivals.due_at)
    return and_(row.series_uid == arrivals.series, same)


def _arrivals(row: RowMapping) -> Arrivals:
    return Arrivals(
        study=row["study_uid"],
        series=row["series_uid"],
        due_at=row["due_at"],
        received_at=row["received_at"],
        deliveries=row["deliveries"],
        version=row["version"],
        sender=row["sender"],
        expected=None if row["expected"] is None else Expected(row["expected"], row["exact"]),
        ended_at=row["ended_at"],
        pause=timedelta(seconds=row["pause"]),
    )
