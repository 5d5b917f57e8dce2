"""The table of events, and a cursor over it that never skips one that commits late."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Insert, insert, literal_column, select, text, tuple_

from storage.errors import InvalidQuery
from storage.events import Event, Kind
from storage.instances import Origin
from storage.sql.prepared import Binds, Prepared
from storage.sql.tables import events

_CURSOR = re.compile(r"([0-9]{1,19})\.([0-9]{1,19})")
# In PostgreSQL rows become visible in the order of commits, not of their numbers. So each carries the number
# of its transaction, and readers stop before the oldest transaction that still runs: all before it is final.
_THIS_TRANSACTION: ColumnElement[int] = literal_column("pg_current_xact_id()::text::bigint")
_OLDEST_RUNNING: ColumnElement[int] = literal_column("pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
_SKIP = text("UPDATE sqlite_sequence SET seq = seq + 1000000 WHERE name = 'events'")
_COLUMNS = [column for column in events.c if column.name not in {"id", "xid"}]


def _insertion(dialect: str, rows: list[Binds]) -> Insert:
    numbered = {"xid": _THIS_TRANSACTION} if dialect == "postgresql" else {}
    return insert(events).values([row | numbered for row in rows])


_INSERT = Prepared(_COLUMNS, (), _insertion)


def values(
    kind: Kind, uids: tuple[str, str, str | None], delivery: str | None, origin: Origin
) -> dict[str, Any]:
    """The columns of a new event; `uids` are of study, series and instance."""
    study, series, sop = uids
    return {
        "kind": kind,
        "study_uid": study,
        "series_uid": series,
        "sop_uid": sop,
        "delivery": delivery,
        "protocol": origin.protocol,
        "peer": origin.peer,
        "address": origin.address,
        "at": datetime.now(UTC),
    }


def write(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Add events to the transaction of what they tell."""
    _INSERT.write(connection, [[row[column.name] for column in _COLUMNS] for row in rows])


def skip_numbers(connection: Connection) -> None:
    """Leave out more numbers than events can have been lost in a crash; only SQLite loses any."""
    if connection.dialect.name == "sqlite":
        connection.execute(_SKIP)


def read(connection: Connection, after: str | None, limit: int) -> list[Event]:
    """Up to `limit` events behind the cursor `after`, from the first one when it is None."""
    query = select(events).order_by(events.c.xid, events.c.id).limit(limit)
    if after is not None:
        query = query.where(tuple_(events.c.xid, events.c.id) > tuple_(*_position(after)))
    if connection.dialect.name == "postgresql":
        query = query.where(events.c.xid < _OLDEST_RUNNING)
    return [_event(row) for row in connection.execute(query)]


def last_cursor(connection: Connection) -> str:
    """Behind everything that `read` would give now; later events all follow."""
    query = select(events.c.xid, events.c.id).order_by(events.c.xid.desc(), events.c.id.desc()).limit(1)
    if connection.dialect.name == "postgresql":
        query = query.where(events.c.xid < _OLDEST_RUNNING)
    last = connection.execute(query).first()
    return f"{last.xid}.{last.id}" if last else "0.0"


def _position(cursor: str) -> tuple[int, int]:
    found = _CURSOR.fullmatch(cursor)
    if not found:
        raise InvalidQuery(f"not a cursor of an event: {cursor[:64]!r}")
    return int(found[1]), int(found[2])


def _event(row: Any) -> Event:
    return Event(
        cursor=f"{row.xid}.{row.id}",
        kind=row.kind,
        study=row.study_uid,
        series=row.series_uid,
        sop=row.sop_uid,
        delivery=row.delivery,
        origin=Origin(row.protocol, row.peer, row.address),
        at=row.at,
    )
