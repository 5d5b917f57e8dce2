"""Who sent what of late, told from the newest events."""

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Connection, Select, case, cast, extract, func, select

from storage.instances import Origin
from storage.senders import HOURS, Sender, Senders
from storage.sql.tables import UtcTime, events

MOST_EVENTS = 50_000
"""So many are looked at: the time that it takes does not grow with the archive."""

_SECONDS = 3600


def senders(connection: Connection, now: datetime, most: int = MOST_EVENTS) -> Senders:
    """The senders of the day before `now`, told from the newest `most` events."""
    rows = connection.execute(_query(now, most)).all()
    day_ago = now - timedelta(hours=HOURS)
    is_whole = sum(row.events for row in rows) < most
    oldest = min((row.first_at for row in rows), default=day_ago)
    since = day_ago if is_whole else max(oldest, day_ago)
    return Senders(tuple(_senders(rows)), since)


def _query(now: datetime, most: int) -> Select[Any]:
    newest = select(events).order_by(events.c.xid.desc(), events.c.id.desc()).limit(most).subquery()
    row = newest.c
    age = int(now.timestamp()) - cast(extract("epoch", row.at), BigInteger)
    # What is older than a day is one group; clocks of several machines may differ a little.
    hour = case((age < 0, 0), (age >= HOURS * _SECONDS, HOURS), else_=age // _SECONDS).label("hour")
    stored = case((row.kind.in_(("instance.stored", "instance.replaced")), 1), else_=0)
    return select(
        row.protocol,
        row.peer,
        row.address,
        hour,
        func.sum(stored).label("stored"),
        func.count().label("events"),
        func.min(row.at, type_=UtcTime).label("first_at"),
        func.max(row.at, type_=UtcTime).label("last_at"),
    ).group_by(row.protocol, row.peer, row.address, hour)


def _senders(rows: Any) -> list[Sender]:
    hours: dict[Origin, list[int]] = defaultdict(lambda: [0] * HOURS)
    last: dict[Origin, datetime] = {}
    for row in rows:
        if row.hour < HOURS and row.stored:
            origin = Origin(row.protocol, row.peer, row.address)
            hours[origin][row.hour] += row.stored
            last[origin] = max(last.get(origin, row.last_at), row.last_at)
    found = [Sender(origin, last[origin], tuple(counts)) for origin, counts in hours.items()]
    return sorted(found, key=lambda sender: sender.last_at, reverse=True)
