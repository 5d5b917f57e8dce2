"""The work list in SQL: a change of state is one conditional statement, so one worker holds an item."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Engine, Select, and_, func, or_, select, update

from inference.arrivals_sql import SqlArrivals, learn, take
from inference.claims_sql import alike, change, check, claim
from inference.completeness import Arrivals
from inference.findings_sql import add_findings
from inference.inputs import Inputs
from inference.inserting import insert_if_absent
from inference.shadow_sql import add_shadow_result
from inference.tables import work_items
from inference.ups.data_set import subject_of
from inference.ups.reports_sql import report_canceled_unbegun, report_progress, report_state
from inference.waiting_sql import abandoned, waiting
from inference.workitem_rows import COLUMNS, cancelled, ended, fetch, fetch_inputs, item_of, new_row
from inference.workitems import (
    FINAL,
    RESOURCES,
    Completed,
    IllegalTransition,
    NewWorkItem,
    Outcome,
    Performer,
    State,
    WorkItem,
)
from storage.sql.engine import reading, writing


def utc_now() -> datetime:
    return datetime.now(UTC)


def schedule(connection: Connection, new: NewWorkItem, now: datetime) -> bool:
    """Add the work item in the transaction of `connection`; False when the same work is known already.

    An earlier item of the same model and subject becomes its predecessor; where that one has not begun, it is
    cancelled: its result would be out of date when it came.
    """
    row = work_items.c
    of_model = and_(row.model == new.model.name, row.shadow == new.shadow)
    same = and_(row.subject_uid == new.inputs.subject, of_model, row.uid != new.uid)
    newest = select(row.uid).where(same).order_by(row.created_at.desc(), row.uid).limit(1)
    values = new_row(new, now) | {"predecessor_uid": connection.scalar(newest)}
    if not insert_if_absent(connection, work_items, values):
        return False
    reason = f"superseded by {new.uid}: other images of the series arrived before it began"
    waiting = and_(same, row.state == State.SCHEDULED)
    superseded = update(work_items).where(waiting).values(cancelled(Outcome.SUPERSEDED, reason, now))
    for uid in connection.scalars(superseded.returning(row.uid)).all():
        report_canceled_unbegun(connection, fetch(connection, uid), now)
    report_state(connection, fetch(connection, new.uid), now)
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
            learn(connection, arrivals, self._clock())
            return tuple(new.uid for new in news if schedule(connection, new, self._clock()))

    def get(self, uid: str) -> WorkItem:
        """The work item.

        Raises:
            UnknownWorkItem: there is none of this UID.
        """
        with reading(self._engine) as connection:
            return fetch(connection, uid)

    def inputs(self, uid: str) -> Inputs:
        """The instances the work item is about; raises `UnknownWorkItem`."""
        with reading(self._engine) as connection:
            return fetch_inputs(connection, uid)

    def list(
        self,
        *,
        states: Sequence[State] = (),
        outcome: Outcome | None = None,
        study: str | None = None,
        series: str | None = None,
        model: str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> tuple[WorkItem, ...]:
        """Work items that match all filters given, newest first."""
        row = work_items.c
        query: Select[Any] = select(*COLUMNS).order_by(row.created_at.desc(), row.uid)
        if states:
            query = query.where(row.state.in_([state.value for state in states]))
        asked = ((row.outcome, outcome), (row.study_uid, study), (row.series_uid, series), (row.model, model))
        for column, wanted in asked:
            if wanted is not None:
                query = query.where(column == wanted)
        with reading(self._engine) as connection:
            found = connection.execute(query.limit(limit).offset(offset)).mappings()
            return tuple(item_of(each) for each in found)

    def counts(self) -> dict[State, int]:
        """How many work items are in each state; every state is named."""
        query = select(work_items.c.state, func.count().label("number")).group_by(work_items.c.state)
        with reading(self._engine) as connection:
            found: dict[str, int] = {each.state: each.number for each in connection.execute(query)}
        return {state: found.get(state.value, 0) for state in State}

    def due(
        self, now: datetime | None = None, limit: int = 100, resources: Sequence[str] = RESOURCES
    ) -> tuple[str, ...]:
        """UIDs that nobody holds and whose time has come, most urgent first, for workers with `resources`."""
        with reading(self._engine) as connection:
            return waiting(connection, now or self._clock(), limit, resources)

    def claim(self, uid: str, worker: str, lease: timedelta) -> WorkItem | None:
        """Take the work item for `lease`, also from a worker whose lease has run out.

        Returns:
            The item with the Transaction UID that its holder names from now on (PS3.4 CC.2.1.1), or None
            when it is not due, held by somebody else, or done.
        """
        with writing(self._engine) as connection:
            return claim(connection, uid, worker, lease, self._clock())

    def claim_alike(self, item: WorkItem, most: int, worker: str, lease: timedelta) -> tuple[WorkItem, ...]:
        """Take up to `most` others that are due, ask for the same model, and for one image each.

        None of them was begun before.
        """
        now = self._clock()
        with writing(self._engine) as connection:
            taken = (claim(connection, uid, worker, lease, now) for uid in alike(connection, item, now))
            return tuple(islice((each for each in taken if each is not None), most))

    def renew(self, uid: str, transaction: str, lease: timedelta) -> None:
        """Hold on to the work item for `lease` from now; raises `LeaseLost`."""
        self._changed(uid, transaction, {"lease_until": self._clock() + lease})

    def check(self, uid: str, transaction: str) -> None:
        """Raise `LeaseLost` when the work item is not held under this transaction any more."""
        with reading(self._engine) as connection:
            check(connection, uid, transaction)

    def progress(self, uid: str, transaction: str, percent: int, note: str = "") -> None:
        """Report Procedure Step Progress (PS3.4 CC.2.6); raises `LeaseLost`."""
        values = {"progress": percent, "progress_note": note}
        with writing(self._engine) as connection:
            report_progress(connection, change(connection, uid, transaction, values), self._clock())

    def complete(self, done: Sequence[Completed]) -> tuple[WorkItem, ...]:
        """End work items with their results; the rows of their findings appear in the same moment.

        What was found in shadow is kept for the comparison alone.

        Raises:
            LeaseLost: somebody else took one of them over; nothing is written.
        """
        now = self._clock()
        with writing(self._engine) as connection:
            return tuple(_completed(connection, each, now) for each in done)

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
        now = self._clock()
        with writing(self._engine) as connection:
            item = change(connection, uid, transaction, cancelled(outcome, reason, now))
            report_state(connection, item, now)
            return item

    def _changed(self, uid: str, transaction: str, values: Mapping[str, Any]) -> WorkItem:
        with writing(self._engine) as connection:
            return change(connection, uid, transaction, values)

    def again(self, uid: str) -> WorkItem:
        """Try a work item again at once; see `repeat`."""
        with writing(self._engine) as connection:
            return repeat(connection, uid, self._clock())

    def cancel(self, uid: str, reason: str) -> WorkItem:
        """Withdraw a work item; whoever holds it learns so when it next renews or completes.

        Raises:
            UnknownWorkItem: there is none of this UID.
            IllegalTransition: it has ended already.
        """
        with writing(self._engine) as connection:
            return withdraw(connection, fetch(connection, uid, lock=True), reason, self._clock())


def repeat(connection: Connection, uid: str, now: datetime) -> WorkItem:
    """Try a work item again at once; one that ended without results is repeated by another.

    Returns:
        The item that will run.

    Raises:
        UnknownWorkItem: there is none of this UID.
        IllegalTransition: it has results, is under way, or is not of a model.
    """
    item = fetch(connection, uid, lock=True)
    if item.state is State.COMPLETED or not item.model.name:
        what = "COMPLETED already" if item.model.name else "no work of a model"
        raise IllegalTransition(f"work item {uid} is {what}")
    if item.state is State.CANCELED:
        again = NewWorkItem(
            item.model,
            fetch_inputs(connection, uid),
            now,
            item.priority,
            item.received_at,
            performer=Performer.WORKER if item.model.digest else Performer.OUTSIDE,
            resource=item.resource,
            subject=subject_of(item.attributes),
            repeats=uid,
            shadow=item.shadow,
        )
        known = not schedule(connection, again, now)
        return repeat(connection, again.uid, now) if known else fetch(connection, again.uid)
    row = work_items.c
    free = and_(row.uid == uid, or_(row.state == State.SCHEDULED, abandoned(now)))
    if connection.execute(update(work_items).where(free).values(due_at=now)).rowcount != 1:
        raise IllegalTransition(f"work item {uid} is under way")
    return fetch(connection, uid)


def withdraw(connection: Connection, item: WorkItem, reason: str, now: datetime) -> WorkItem:
    """Cancel a work item in the transaction of `connection`; raises `IllegalTransition` when it has ended."""
    row = work_items.c
    open_ = row.state.not_in([state.value for state in FINAL])
    values = cancelled(Outcome.WITHDRAWN, reason, now)
    if connection.execute(update(work_items).where(row.uid == item.uid, open_).values(values)).rowcount != 1:
        raise IllegalTransition(f"work item {item.uid} is {item.state} already")
    after = fetch(connection, item.uid)
    report = report_canceled_unbegun if item.state is State.SCHEDULED else report_state
    report(connection, after, now)
    return after


def _completed(connection: Connection, done: Completed, now: datetime) -> WorkItem:
    values = ended(State.COMPLETED, Outcome.RESULTS, "", now)
    values |= {"results": list(done.results), "timings": dict(done.timings)}
    values |= {"progress": 100, "progress_note": ""}
    item = change(connection, done.uid, done.transaction, values)
    report_state(connection, item, now)
    if item.shadow:
        add_shadow_result(connection, done.uid, done.findings)
    else:
        add_findings(connection, done.findings)
    return item
