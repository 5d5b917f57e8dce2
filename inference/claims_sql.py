"""Who holds which work item: each change is one conditional statement, so that one worker holds it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, select, update

from inference.tables import work_items
from inference.uids import uid_from
from inference.ups.reports_sql import report_state
from inference.waiting_sql import claimable, waiting
from inference.workitem_rows import COLUMNS, fetch, item_of
from inference.workitems import LeaseLost, State, WorkItem

_LOOKED_AT = 64
"""So many of the most urgent are looked through for work that goes together."""


def claim(connection: Connection, uid: str, worker: str, lease: timedelta, now: datetime) -> WorkItem | None:
    """Take a work item in the transaction of `connection`; None when it is not to be had."""
    values = {
        "state": State.IN_PROGRESS,
        "transaction_uid": uid_from("transaction", uid, worker, now.isoformat()),
        "worker": worker,
        "lease_until": now + lease,
        "attempts": work_items.c.attempts + 1,
        "started_at": func.coalesce(work_items.c.started_at, now),
        "progress": 0,
        "progress_note": "",
    }
    taken = update(work_items).where(work_items.c.uid == uid, claimable(now)).values(values)
    found = connection.execute(taken.returning(*COLUMNS)).mappings().one_or_none()
    if found is None:
        return None
    item = item_of(found)
    if item.started_at == now:
        report_state(connection, item, now)
    return item


def alike(connection: Connection, item: WorkItem, now: datetime) -> list[str]:
    """UIDs of what is due, was never begun, and asks for one image and the same model as `item`."""
    row = work_items.c
    due = waiting(connection, now, _LOOKED_AT, [item.resource])
    model = and_(row.model == item.model.name, row.model_version == item.model.version, row.shadow.is_(False))
    same = and_(model, row.model_digest == item.model.digest, row.card_digest == item.model.card_digest)
    fresh = and_(row.state == State.SCHEDULED, row.instances == 1)
    found = set(connection.scalars(select(row.uid).where(row.uid.in_(due), same, fresh)))
    return [uid for uid in due if uid in found]


def change(connection: Connection, uid: str, transaction: str, values: Mapping[str, Any]) -> WorkItem:
    """Change a work item that is held under `transaction`; what it is then. Raises `LeaseLost`."""
    changed = update(work_items).where(_held(uid, transaction)).values(values)
    found = connection.execute(changed.returning(*COLUMNS)).mappings().one_or_none()
    if found is None:
        raise _lost(connection, uid, transaction)
    return item_of(found)


def check(connection: Connection, uid: str, transaction: str) -> None:
    """Raise `LeaseLost` when the work item is not held under `transaction`."""
    if connection.scalar(select(work_items.c.uid).where(_held(uid, transaction))) is None:
        raise _lost(connection, uid, transaction)


def _held(uid: str, transaction: str) -> ColumnElement[bool]:
    row = work_items.c
    return and_(row.uid == uid, row.state == State.IN_PROGRESS, row.transaction_uid == transaction)


def _lost(connection: Connection, uid: str, transaction: str) -> LeaseLost:
    item = fetch(connection, uid)
    return LeaseLost(f"work item {uid} is {item.state}, not held under transaction {transaction}")
