"""Procedure steps as others ask for them (PS3.4 CC.2): created, read, changed, found."""

import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, update

from inference.inserting import insert_if_absent
from inference.tables import work_items
from inference.uids import uid_from
from inference.ups import data_set as tags
from inference.ups import replies
from inference.ups.answering import answered
from inference.ups.data_set import Access, data_set
from inference.ups.elements import Attributes, first, items
from inference.ups.replies import Refused, Reply
from inference.ups.reports_sql import (
    SqlReports,
    receivers_of,
    report_assignment,
    report_cancel_request,
    report_progress,
    report_state,
)
from inference.ups.requirements import (
    check_final,
    checked_changes,
    checked_new,
    results_of,
    with_cancellation,
)
from inference.ups.search_sql import Found, find_steps
from inference.ups.subscriptions_sql import SqlSubscriptions
from inference.workitem_rows import cancelled, ended, fetch, fetch_inputs, patient_id
from inference.workitems import FINAL, Outcome, Performer, Priority, State, UnknownWorkItem, WorkItem
from inference.workitems_sql import utc_now, withdraw
from storage.archive import Archive
from storage.errors import InvalidInstance, UnknownInstance
from storage.instances import StoredInstance, checked_uid
from storage.moments import read_moment
from storage.sql.engine import reading

MAX_BYTES = 16 << 20
"""Bytes of the DICOM JSON of one procedure step."""


class SqlProcedureSteps:
    """The Unified Procedure Steps of an installation: our own work items, and those that others create.

    Requests are answered by a `Reply`, whatever is wrong with them; what is raised is `StorageDown`.
    """

    def __init__(
        self,
        engine: Engine,
        archive: Archive,
        access: Access,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Open nothing.

        Args:
            engine: from `storage.sql.engine.connect`.
            archive: where results of our own work are.
            access: where others get images.
            clock: the time now, aware.
        """
        self._engine = engine
        self._archive = archive
        self._access = access
        self._clock = clock
        self.subscriptions = SqlSubscriptions(engine, access, clock)
        """Who hears of changes (CC.2.3)."""
        self.reports = SqlReports(engine)
        """What they hear (CC.2.4)."""

    def create(self, attributes: Attributes, uid: str = "") -> Reply:
        """N-CREATE (CC.2.5), for whoever performs the step; without `uid` it gets one."""

        def work(connection: Connection) -> Reply:
            now = self._clock()
            known = uid or first(attributes, tags.SOP_INSTANCE)
            new = known or uid_from("step", now.isoformat(), json.dumps(attributes, sort_keys=True))
            kept, modified = checked_new(attributes, now)
            if not insert_if_absent(connection, work_items, _new_row(_checked(new), _bounded(kept), now)):
                raise Refused(replies.DUPLICATE, f"there is a procedure step {new} already")
            report_state(connection, fetch(connection, new), now)
            if modified:
                return Reply(replies.MODIFIED, "Worklist Label was set", new)
            return Reply(uid=new)

        return answered(self._engine, work)

    def retrieve(self, uid: str) -> Attributes | None:
        """N-GET (CC.2.7): the whole data set but for the Transaction UID; None when there is no such step."""
        try:
            with reading(self._engine) as connection:
                item, inputs = fetch(connection, uid), fetch_inputs(connection, uid)
        except UnknownWorkItem:
            return None
        return data_set(item, self._access, inputs, list(self._results(item)))

    def _results(self, item: WorkItem) -> Iterable[StoredInstance]:
        for sop in item.results if item.performer is Performer.WORKER else ():
            try:
                yield self._archive.instance(sop)
            except UnknownInstance:
                continue  # deleted since

    def search(self, identifier: Attributes, *, limit: int | None = None, offset: int = 0) -> Found:
        """C-FIND (CC.2.8) over all procedure steps; raises `InvalidQuery` when a key makes no sense."""
        with reading(self._engine) as connection:
            return find_steps(connection, self._access, identifier, limit=limit, offset=offset)

    def update(self, uid: str, changes: Attributes, transaction: str = "") -> Reply:
        """N-SET (CC.2.6).

        Args:
            uid: SOP Instance UID of the step.
            changes: attributes that are replaced.
            transaction: Transaction UID of whoever performs the step; empty for one that is SCHEDULED.
        """

        def work(connection: Connection) -> Reply:
            item = fetch(connection, uid, lock=True)
            now = self._clock()
            _check_may_update(item, transaction or first(changes, tags.TRANSACTION_UID))
            changed = checked_changes(changes, now)
            kept = _bounded(dict(item.attributes) | changed)
            self._write(connection, uid, {"attributes": kept, **_columns(changed, kept)})
            after = fetch(connection, uid)
            _report_update(connection, after, changed, now)
            return Reply()

        return answered(self._engine, work)

    def change_state(self, uid: str, state: str, transaction: str, performer: str = "") -> Reply:
        """N-ACTION, Change UPS State (CC.2.1).

        Args:
            uid: SOP Instance UID of the step.
            state: the Procedure Step State asked for.
            transaction: Transaction UID.
            performer: AE title of whoever asks, as far as it is known.
        """

        def work(connection: Connection) -> Reply:
            item = fetch(connection, uid, lock=True)
            wanted = _wanted_state(state)
            if not transaction:
                raise Refused(replies.WRONG_TRANSACTION, "Transaction UID is missing")
            if wanted is State.IN_PROGRESS:
                self._begin(connection, item, transaction, performer)
                return Reply()
            return self._end(connection, item, wanted, transaction)

        return answered(self._engine, work)

    def _begin(self, connection: Connection, item: WorkItem, transaction: str, performer: str) -> None:
        if item.state is not State.SCHEDULED:
            if item.transaction != transaction:
                raise Refused(replies.WRONG_TRANSACTION, f"the procedure step is {item.state} by another")
            status = replies.NO_LONGER_UPDATED if item.state in FINAL else replies.ALREADY_IN_PROGRESS
            raise Refused(status, f"the procedure step is {item.state} already")
        now = self._clock()
        values = {
            "state": State.IN_PROGRESS,
            "transaction_uid": _checked(transaction),
            "performer": Performer.OUTSIDE.value,
            "worker": performer[:128],
            "started_at": now,
            "attempts": item.attempts + 1,
        }
        self._write(connection, item.uid, values)
        report_state(connection, fetch(connection, item.uid), now)

    def _end(self, connection: Connection, item: WorkItem, wanted: State, transaction: str) -> Reply:
        if item.state is State.SCHEDULED:
            raise Refused(replies.NOT_IN_PROGRESS, "the procedure step is not IN PROGRESS yet")
        if item.transaction != transaction:
            raise Refused(replies.WRONG_TRANSACTION, "the Transaction UID is not that of the performer")
        if item.state is wanted:
            done = wanted is State.COMPLETED
            status = replies.ALREADY_COMPLETED if done else replies.ALREADY_CANCELED
            return Reply(status, f"the procedure step is {wanted} already")
        if item.state in FINAL:
            raise Refused(replies.NO_LONGER_UPDATED, f"the procedure step is {item.state}")
        if item.performer is Performer.OUTSIDE:
            check_final(item.attributes, wanted)
        now = self._clock()
        self._write(connection, item.uid, _final(item, wanted, now))
        report_state(connection, fetch(connection, item.uid), now)
        return Reply()

    def request_cancel(
        self, uid: str, request: Mapping[str, Any], requester: str = "", *, force: bool = False
    ) -> Reply:
        """N-ACTION, Request UPS Cancel (CC.2.2): done at once where the step is ours or nobody's.

        Args:
            uid: SOP Instance UID of the step.
            request: the action information.
            requester: AE title of whoever asks.
            force: cancel also what an outside performer holds, who may be gone for good.
        """

        def work(connection: Connection) -> Reply:
            item = fetch(connection, uid, lock=True)
            now = self._clock()
            if item.state is State.CANCELED:
                return Reply(replies.ALREADY_CANCELED, "the procedure step is CANCELED already")
            if item.state is State.COMPLETED:
                raise Refused(replies.CANNOT_CANCEL_COMPLETED, "the procedure step is COMPLETED already")
            held = item.state is State.IN_PROGRESS and item.performer is Performer.OUTSIDE
            if held and not force:
                _ask_performer(connection, item, request, requester, now)
                return Reply()
            reason = first(request, tags.CANCEL_REASON) or f"asked for by {requester or 'somebody'}"
            after = withdraw(connection, item, reason, now)
            if after.performer is Performer.OUTSIDE:
                kept = with_cancellation(dict(after.attributes), now, reason)
                self._write(connection, uid, {"attributes": kept})
            return Reply()

        return answered(self._engine, work)

    def _write(self, connection: Connection, uid: str, values: Mapping[str, Any]) -> None:
        connection.execute(update(work_items).where(work_items.c.uid == uid).values(values))


def _checked(uid: str) -> str:
    try:
        return checked_uid(uid, "UID")
    except InvalidInstance as error:
        raise Refused(replies.INVALID_VALUE, str(error)) from error


def _bounded(attributes: Attributes) -> Attributes:
    if len(json.dumps(attributes)) > MAX_BYTES:
        raise Refused(replies.INVALID_VALUE, f"a procedure step has at most {MAX_BYTES} bytes of JSON")
    return attributes


def _new_row(uid: str, kept: Attributes, now: datetime) -> dict[str, Any]:
    nothing = dict.fromkeys(
        ("model", "model_version", "model_digest", "card_digest", "series_uid", "fingerprint"), ""
    )
    return {
        **nothing,
        **_columns(kept, kept),
        "uid": uid,
        "subject_uid": uid,
        "instances": 0,
        "inputs": zlib.compress(b""),
        "state": State.SCHEDULED,
        "created_at": now,
        "performer": Performer.OUTSIDE.value,
        "attributes": kept,
    }


def _columns(changed: Attributes, kept: Attributes) -> dict[str, Any]:
    """The columns that say the same as attributes of the data set."""
    columns: dict[str, Any] = {}
    if tags.PRIORITY in changed:
        columns["priority"] = int(Priority[first(kept, tags.PRIORITY)])
    if tags.START in changed:
        columns["due_at"] = read_moment(first(kept, tags.START))[0]
    for tag, column in ((tags.LABEL, "label"), (tags.READINESS, "readiness"), (tags.STUDY, "study_uid")):
        if tag in changed:
            columns[column] = first(kept, tag)
    if tags.PATIENT_ID in changed:
        columns["patient_id"] = patient_id(kept)
    return columns


def _check_may_update(item: WorkItem, transaction: str) -> None:
    if item.state in FINAL:
        raise Refused(replies.NO_LONGER_UPDATED, f"the procedure step is {item.state}")
    if item.state is State.SCHEDULED and transaction:
        raise Refused(replies.NOT_IN_PROGRESS, "the procedure step is not IN PROGRESS yet")
    if item.state is State.IN_PROGRESS and item.transaction != transaction:
        raise Refused(replies.WRONG_TRANSACTION, "the Transaction UID is not that of the performer")


def _report_update(connection: Connection, item: WorkItem, changed: Attributes, now: datetime) -> None:
    if tags.PROGRESS_INFORMATION in changed and items(changed, tags.PROGRESS_INFORMATION):
        report_progress(connection, item, now)
    if tags.STATIONS in changed or tags.PERFORMERS in changed:
        report_assignment(connection, item, now)
    if tags.READINESS in changed:
        # CC.2.4.3: a change of Input Readiness State is a UPS State Report.
        report_state(connection, item, now)


def _wanted_state(state: str) -> State:
    if state == State.SCHEDULED:
        raise Refused(replies.NOT_BACK_TO_SCHEDULED, "no procedure step goes back to SCHEDULED")
    try:
        return State(state)
    except ValueError:
        raise Refused(replies.INVALID_VALUE, f"{state[:64]!r} is no Procedure Step State") from None


def _final(item: WorkItem, wanted: State, now: datetime) -> dict[str, Any]:
    if wanted is State.COMPLETED:
        values = ended(wanted, Outcome.RESULTS, "", now)
        return values | {"results": list(results_of(item.attributes)), "progress": 100}
    kept = with_cancellation(dict(item.attributes), now)
    progress = next(iter(items(kept, tags.PROGRESS_INFORMATION)), {})
    reason = first(progress, tags.CANCEL_REASON) or "canceled by its performer"
    return cancelled(Outcome.FAILED, reason, now) | {"attributes": kept}


def _ask_performer(
    connection: Connection, item: WorkItem, request: Mapping[str, Any], requester: str, now: datetime
) -> None:
    listening = {aet for aet, _ in receivers_of(connection, item)}
    if not listening or (item.worker and item.worker not in listening):
        raise Refused(replies.PERFORMER_NOT_CONTACTED, "the performer is not subscribed to the step")
    report_cancel_request(connection, item, request, requester, now)
