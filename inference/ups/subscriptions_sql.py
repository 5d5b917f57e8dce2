"""Subscriptions to procedure steps (PS3.4 CC.2.3): to one, to all, to those that match."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, and_, delete, insert, literal, select, update

from inference.tables import step_reports, step_subscriptions, work_items
from inference.ups.answering import answered
from inference.ups.data_set import READINESS, STATE, Access, data_set
from inference.ups.elements import Attributes, element
from inference.ups.replies import (
    INVALID_VALUE,
    MISSING_VALUE,
    NOT_APPROPRIATE,
    UNKNOWN_STEP,
    Refused,
    Reply,
)
from inference.ups.reports_sql import FILTERED, GLOBAL, STATE_REPORT, state_information
from inference.workitem_rows import COLUMNS, fetch, item_of
from storage.errors import InvalidQuery
from storage.key_matching import Keys

_MAX_AET = 16


class SqlSubscriptions:
    """Who hears of changes, by AE title and channel (`dimse` or `web`)."""

    def __init__(self, engine: Engine, access: Access, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._access = access
        self._clock = clock

    def subscribe(
        self, uid: str, channel: str, aet: str, *, deletion_lock: bool, keys: Attributes | None = None
    ) -> Reply:
        """Report changes of a step, or of all or matching ones where `uid` is a well-known one.

        Args:
            uid: of the step, `GLOBAL` or `FILTERED`.
            channel: how reports are sent.
            aet: AE title of the receiver.
            deletion_lock: steps stay after their end until the receiver has unsubscribed.
            keys: for `FILTERED`: what must match.
        """

        def work(connection: Connection) -> Reply:
            row = {"uid": uid, "aet": _checked_aet(aet), "channel": channel}
            self._known(connection, uid)
            kept = _checked_keys(keys) if uid == FILTERED else {}
            values = {"subscribed": True, "deletion_lock": deletion_lock, "keys": kept, "suspended_at": None}
            _put(connection, row, values)
            if uid not in {GLOBAL, FILTERED}:
                self._report_one(connection, uid, channel, aet)
            elif deletion_lock:
                self._report_all(connection, channel, aet, kept)
            return Reply()

        return answered(self._engine, work)

    def unsubscribe(self, uid: str, channel: str, aet: str) -> Reply:
        """Report no more changes of a step; of none where `uid` is a well-known one (table CC.2.3-2)."""

        def work(connection: Connection) -> Reply:
            self._known(connection, uid)
            row = step_subscriptions.c
            mine = and_(row.aet == aet, row.channel == channel)
            if uid in {GLOBAL, FILTERED}:
                connection.execute(delete(step_subscriptions).where(mine))
                return Reply()
            key = {"uid": uid, "aet": _checked_aet(aet), "channel": channel}
            _put(connection, key, {"subscribed": False, "deletion_lock": False, "keys": {}})
            return Reply()

        return answered(self._engine, work)

    def suspend(self, uid: str, channel: str, aet: str) -> Reply:
        """Do not subscribe to steps that are created from now on; those there are go on."""

        def work(connection: Connection) -> Reply:
            if uid not in {GLOBAL, FILTERED}:
                raise Refused(NOT_APPROPRIATE, "only a subscription to all steps is suspended")
            row = step_subscriptions.c
            mine = and_(row.uid == uid, row.aet == aet, row.channel == channel)
            suspended = update(step_subscriptions).where(mine).values(suspended_at=self._clock())
            if connection.execute(suspended).rowcount != 1:
                raise Refused(UNKNOWN_STEP, f"{aet[:64]!r} is not subscribed to all steps")
            return Reply()

        return answered(self._engine, work)

    def _known(self, connection: Connection, uid: str) -> None:
        if uid not in {GLOBAL, FILTERED}:
            fetch(connection, uid)

    def _report_one(self, connection: Connection, uid: str, channel: str, aet: str) -> None:
        item = fetch(connection, uid)
        told = state_information(item.state, item)
        same = {"event_type": STATE_REPORT, "attributes": told, "at": self._clock()}
        connection.execute(insert(step_reports).values(uid=uid, aet=aet, channel=channel, **same))

    def _report_all(self, connection: Connection, channel: str, aet: str, keys: Attributes) -> None:
        """CC.2.4.3: with a lock, the state of every step there is."""
        if keys:
            wanted = Keys(keys)
            for found in connection.execute(select(*COLUMNS)).mappings().all():
                if wanted.match(data_set(item_of(found), self._access)):
                    self._report_one(connection, found["uid"], channel, aet)
            return
        row = work_items.c
        kinds = connection.execute(select(row.state, row.readiness).distinct()).all()
        for state, readiness in kinds:
            told = {READINESS: element("CS", readiness), STATE: element("CS", state)}
            these = and_(row.state == state, row.readiness == readiness)
            names = ("aet", "channel", "uid", "event_type", "attributes", "at")
            values = (literal(aet), literal(channel), row.uid, literal(STATE_REPORT))
            at = literal(self._clock(), step_reports.c.at.type)
            told_as = literal(told, step_reports.c.attributes.type)
            reports = select(*values, told_as, at).where(these)
            connection.execute(insert(step_reports).from_select(names, reports))


def _checked_aet(aet: str) -> str:
    if not aet.strip():
        raise Refused(MISSING_VALUE, "Receiving AE (0074,1234) is missing")
    if len(aet) > _MAX_AET or not all(" " <= c <= "~" and c != "\\" for c in aet):
        raise Refused(INVALID_VALUE, f"{aet[:64]!r} is no AE title")
    return aet


def _checked_keys(keys: Attributes | None) -> Attributes:
    if not keys:
        raise Refused(MISSING_VALUE, "a filtered subscription needs keys to match")
    try:
        Keys(keys)
    except InvalidQuery as error:
        raise Refused(INVALID_VALUE, str(error)) from error
    return keys


def _put(connection: Connection, key: dict[str, Any], values: dict[str, Any]) -> None:
    row = step_subscriptions.c
    here = and_(*(row[name] == value for name, value in key.items()))
    connection.execute(delete(step_subscriptions).where(here))
    connection.execute(insert(step_subscriptions).values(**key, **values))
