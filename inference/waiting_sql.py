"""The work that waits, most urgent first, at a cost that does not grow with how much of it there is."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Subquery, and_, or_, select, union_all

from inference.tables import work_items
from inference.workitems import Performer, State


def claimable(now: datetime) -> ColumnElement[bool]:
    """The work of our workers that is due and that nobody holds."""
    row = work_items.c
    ours = and_(row.due_at <= now, row.performer == Performer.WORKER)
    return and_(ours, or_(row.state == State.SCHEDULED, abandoned(now)))


def abandoned(now: datetime) -> ColumnElement[bool]:
    """The work of our workers that one of them began and none holds."""
    row = work_items.c
    return and_(row.state == State.IN_PROGRESS, row.performer == Performer.WORKER, _unheld(now))


def _unheld(now: datetime) -> ColumnElement[bool]:
    until = work_items.c.lease_until
    return or_(until.is_(None), until <= now)


def waiting(connection: Connection, now: datetime, limit: int, resources: Sequence[str]) -> tuple[str, ...]:
    """UIDs of up to `limit` claimable work items for `resources`, by priority and due time."""
    # Each part is read in the order of the index and ends at its limit; one condition for all would sort
    # everything that waits.
    parts = [
        _part(state, resource, now, limit)
        for resource in resources
        for state in (State.SCHEDULED, State.IN_PROGRESS)
    ]
    found = union_all(*(select(part) for part in parts)).subquery()
    first = select(found.c.uid).order_by(found.c.priority, found.c.due_at, found.c.uid).limit(limit)
    return tuple(connection.scalars(first))


def _part(state: State, resource: str, now: datetime, limit: int) -> Subquery:
    row = work_items.c
    query = select(row.uid, row.priority, row.due_at).where(
        row.performer == Performer.WORKER, row.state == state, row.resource == resource, row.due_at <= now
    )
    if state is State.IN_PROGRESS:
        query = query.where(_unheld(now))
    return query.order_by(row.priority, row.due_at).limit(limit).subquery()
