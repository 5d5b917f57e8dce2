"""The work list in SQL: a change of state is one conditional statement, so one worker holds an item."""

import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, RowMapping, Select, and_, func, or_, select, update

from inference.arrivals_sql import SqlArrivals, take
from inference.completeness import Arrivals
from inference.findings_sql import add_findings
from inference.inserting import insert_if_absent
from inference.records import FindingRecord
from inference.tables import work_items
from inference.uids import uid_from
from inference.workitems import (
    FINAL,
    IllegalTransition,
    Inputs,
    LeaseLost,
    ModelReference,
    NewWorkItem,
    Outcome,
    Priority,
    State,
    UnknownWorkItem,
    WorkItem,
)
from storage.sql.engine import reading, writing

_COLUMNS = [column for column in work_items.c if column.name != "inputs"]


def utc_now() -> datetime:
    return datetime.now(UTC)


def schedule(connection: Connection, new: NewWorkItem, now: datetime) -> bool:
    """Add the work item in the transaction of `connection`; False when the same work is known already.

    An earlier item of the same model and subject becomes its predecessor; where that one has not begun, it is
    cancelled: its result would be out of date when it came.
    """
    row = work_items.c
    same = and_(row.subject_uid == new.inputs.subject, row.model == new.model.name, row.uid != new.uid)
    newest = select(row.uid).where(same).order_by(row.created_at.desc(), row.uid).limit(1)
    values = _new_row(new, now) | {"predecessor_uid": connection.scalar(newest)}
    if not insert_if_absent(connection, work_items, values):
        return False
    reason = f"superseded by {new.uid}: other images of the series arrived before it began"
    waiting = and_(same, row.state == State.SCHEDULED)
    connection.execute(update(work_items).where(waiting).values(_cancelled(Outcome.SUPERSEDED, reason, now)))
    return True


class SqlWorkItems:
    """The work list on SQLite or PostgreSQL; any number of processes may use one database.

    Args:
        engine: from `storage.sql.engine.connect`.
        clock: the time now, aware.
    """

    def __init__(self, engine: Engine, clock: Callable[[], datetime] = utc_now) -> None:
        self._engine = engine
        self._clock = clock
        self.arrivals = SqlArrivals(engine)
        """What waits to become work items."""

    def create_if_absent(self, new: NewWorkItem) -> bool:
        """Schedule the work; False when the same work is known already, in whatever state."""
        with writing(self._engine) as connection:
            return schedule(connection, new, self._clock())

    def create_for(self, arrivals: Arrivals, news: Sequence[NewWorkItem]) -> tuple[str, ...]:
        """Turn a series that waited into work items, in one transaction.

        Returns:
            UIDs of those that were not known. Nothing happens when more of the series has arrived since
            `arrivals` was read, or another process was faster.
        """
        with writing(self._engine) as connection:
            if not take(connection, arrivals):
                return ()
            return tuple(new.uid for new in news if schedule(connection, new, self._clock()))

    def get(self, uid: str) -> WorkItem:
        """The work item.

        Raises:
            UnknownWorkItem: there is none of this UID.
        """
        with reading(self._engine) as connection:
            return _get(connection, uid)

    def inputs(self, uid: str) -> Inputs:
        """The instances the work item is about; raises `UnknownWorkItem`."""
        row = work_items.c
        query = select(row.study_uid, row.series_uid, row.inputs, row.fingerprint, row.subject_uid).where(
            row.uid == uid
        )
        with reading(self._engine) as connection:
            found = connection.execute(query).one_or_none()
        if found is None:
            raise UnknownWorkItem(f"no work item {uid}")
        sops = tuple(zlib.decompress(found.inputs).decode().split("\n"))
        return Inputs(found.study_uid, found.series_uid, sops, found.fingerprint, found.subject_uid)

    def list(
        self,
        *,
        states: Sequence[State] = (),
        study: str | None = None,
        series: str | None = None,
        model: str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> tuple[WorkItem, ...]:
        """Work items that match all filters given, newest first."""
        row = work_items.c
        query: Select[Any] = select(*_COLUMNS).order_by(row.created_at.desc(), row.uid)
        if states:
            query = query.where(row.state.in_([state.value for state in states]))
        for column, wanted in ((row.study_uid, study), (row.series_uid, series), (row.model, model)):
            if wanted is not None:
                query = query.where(column == wanted)
        with reading(self._engine) as connection:
            found = connection.execute(query.limit(limit).offset(offset)).mappings()
            return tuple(_item(each) for each in found)

    def counts(self) -> dict[State, int]:
        """How many work items are in each state; every state is named."""
        query = select(work_items.c.state, func.count().label("number")).group_by(work_items.c.state)
        with reading(self._engine) as connection:
            found: dict[str, int] = {each.state: each.number for each in connection.execute(query)}
        return {state: found.get(state.value, 0) for state in State}

    def due(self, now: datetime | None = None, limit: int = 100) -> tuple[str, ...]:
        """UIDs that nobody holds and whose time has come, most urgent first: what a sweep announces again."""
        row = work_items.c
        query = (
            select(row.uid)
            .where(_claimable(now or self._clock()))
            .order_by(row.priority, row.due_at, row.uid)
        )
        with reading(self._engine) as connection:
            return tuple(connection.scalars(query.limit(limit)))

    def claim(self, uid: str, worker: str, lease: timedelta) -> WorkItem | None:
        """Take the work item for `lease`, also from a worker whose lease has run out.

        Returns:
            The item with the Transaction UID that its holder names from now on (PS3.4 CC.2.1.1), or None
            when it is not due, held by somebody else, or done.
        """
        now = self._clock()
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
        claim = update(work_items).where(work_items.c.uid == uid, _claimable(now)).values(values)
        with writing(self._engine) as connection:
            if connection.execute(claim).rowcount != 1:
                return None
            return _get(connection, uid)

    def renew(self, uid: str, transaction: str, lease: timedelta) -> None:
        """Hold on to the work item for `lease` from now; raises `LeaseLost`."""
        self._changed(uid, transaction, {"lease_until": self._clock() + lease})

    def progress(self, uid: str, transaction: str, percent: int, note: str = "") -> None:
        """Report Procedure Step Progress (PS3.4 CC.2.6); raises `LeaseLost`."""
        self._changed(uid, transaction, {"progress": percent, "progress_note": note})

    def complete(
        self,
        uid: str,
        transaction: str,
        results: Sequence[str],
        findings: Sequence[FindingRecord],
        timings: Mapping[str, float],
    ) -> WorkItem:
        """End the work item with its results; the rows of its findings appear in the same moment.

        Raises:
            LeaseLost: somebody else took the item over; nothing is written.
        """
        values = _ended(State.COMPLETED, Outcome.RESULTS, "", self._clock())
        values |= {"results": list(results), "timings": dict(timings), "progress": 100, "progress_note": ""}
        with writing(self._engine) as connection:
            _change(connection, uid, transaction, values)
            add_findings(connection, findings)
            return _get(connection, uid)

    def retry(
        self, uid: str, transaction: str, reason: str, at: datetime, *, counts: bool = True
    ) -> WorkItem:
        """Give the work item back until `at`; without `counts` the try is not one of its attempts.

        Raises:
            LeaseLost: somebody else took the item over; nothing is written.
        """
        # PS3.4 CC.1.1 has no way back to SCHEDULED: it stays IN PROGRESS, held by nobody.
        values: dict[str, Any] = {
            "due_at": at,
            "lease_until": None,
            "transaction_uid": None,
            "reason": reason,
        }
        if not counts:
            values["attempts"] = work_items.c.attempts - 1
        return self._changed(uid, transaction, values)

    def end(self, uid: str, transaction: str, outcome: Outcome, reason: str) -> WorkItem:
        """End the work item as CANCELED, without results.

        Raises:
            LeaseLost: somebody else took the item over; nothing is written.
        """
        return self._changed(uid, transaction, _cancelled(outcome, reason, self._clock()))

    def _changed(self, uid: str, transaction: str, values: Mapping[str, Any]) -> WorkItem:
        with writing(self._engine) as connection:
            _change(connection, uid, transaction, values)
            return _get(connection, uid)

    def cancel(self, uid: str, reason: str) -> WorkItem:
        """Withdraw a work item; whoever holds it learns so when it next renews or completes.

        Raises:
            UnknownWorkItem: there is none of this UID.
            IllegalTransition: it has ended already.
        """
        row = work_items.c
        open_ = row.state.not_in([state.value for state in FINAL])
        values = _cancelled(Outcome.WITHDRAWN, reason, self._clock())
        with writing(self._engine) as connection:
            done = connection.execute(update(work_items).where(row.uid == uid, open_).values(values))
            item = _get(connection, uid)
            if done.rowcount != 1:
                raise IllegalTransition(f"work item {uid} is {item.state} already")
            return item


def _claimable(now: datetime) -> ColumnElement[bool]:
    row = work_items.c
    unheld = or_(row.lease_until.is_(None), row.lease_until <= now)
    abandoned = and_(row.state == State.IN_PROGRESS, unheld)
    return and_(row.due_at <= now, or_(row.state == State.SCHEDULED, abandoned))


def _change(connection: Connection, uid: str, transaction: str, values: Mapping[str, Any]) -> None:
    row = work_items.c
    held = and_(row.uid == uid, row.state == State.IN_PROGRESS, row.transaction_uid == transaction)
    if connection.execute(update(work_items).where(held).values(values)).rowcount != 1:
        item = _get(connection, uid)
        raise LeaseLost(f"work item {uid} is {item.state}, not held under transaction {transaction}")


def _ended(state: State, outcome: Outcome, reason: str, now: datetime) -> dict[str, Any]:
    return {
        "state": state,
        "outcome": outcome,
        "reason": reason,
        "finished_at": now,
        "lease_until": None,
        "transaction_uid": None,
    }


def _cancelled(outcome: Outcome, reason: str, now: datetime) -> dict[str, Any]:
    return _ended(State.CANCELED, outcome, reason, now)


def _get(connection: Connection, uid: str) -> WorkItem:
    found = connection.execute(select(*_COLUMNS).where(work_items.c.uid == uid)).mappings().one_or_none()
    if found is None:
        raise UnknownWorkItem(f"no work item {uid}")
    return _item(found)


def _new_row(new: NewWorkItem, now: datetime) -> dict[str, Any]:
    return {
        "uid": new.uid,
        "model": new.model.name,
        "model_version": new.model.version,
        "model_digest": new.model.digest,
        "card_digest": new.model.card_digest,
        "study_uid": new.inputs.study,
        "series_uid": new.inputs.series,
        "subject_uid": new.inputs.subject,
        "fingerprint": new.inputs.fingerprint,
        "instances": len(new.inputs.sops),
        "inputs": zlib.compress("\n".join(new.inputs.sops).encode()),
        "priority": int(new.priority),
        "state": State.SCHEDULED,
        "created_at": now,
        "due_at": new.due_at,
        "received_at": new.received_at,
    }


def _item(row: RowMapping) -> WorkItem:
    same = {column.name: row[column.name] for column in _COLUMNS if column.name in WorkItem.__slots__}
    same |= {"state": State(row["state"]), "priority": Priority(row["priority"])}
    return WorkItem(
        **same
        | {
            "model": ModelReference(
                row["model"], row["model_version"], row["model_digest"], row["card_digest"]
            ),
            "study": row["study_uid"],
            "series": row["series_uid"],
            "transaction": row["transaction_uid"],
            "outcome": Outcome(row["outcome"]) if row["outcome"] else None,
            "results": tuple(row["results"]),
            "predecessor": row["predecessor_uid"],
        }
    )
