"""The queues in SQL: any number of routers may share them, and be killed at any moment."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Engine,
    and_,
    delete,
    func,
    select,
    update,
)

from inference.inserting import insert_if_absent
from inference.tables import trigger_cursors
from isocenter.routing.errands_sql import wish
from isocenter.routing.rows_sql import (
    MOST_REASON,
    count,
    count_failed,
    mark,
    new_shipment,
    open_shipment,
    put,
    shipment_of,
)
from isocenter.routing.shipments import Chosen, Figures, Shipment, State, UnknownShipment, Wish
from isocenter.routing.tables import destination_counts, shipment_instances, shipments
from storage.sql.engine import reading, writing

CURSOR = "routing"


class SqlShipments:
    """Shipments and their instances.

    Every method raises `StorageDown` when the database does not answer.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def cursor(self) -> str | None:
        """How far the events have been read; None before the first time."""
        query = select(trigger_cursors.c.cursor).where(trigger_cursors.c.name == CURSOR)
        with reading(self._engine) as connection:
            return connection.scalar(query)

    def begin(self, cursor: str) -> None:
        """Read events from here on, unless some were read before."""
        with writing(self._engine) as connection:
            insert_if_absent(connection, trigger_cursors, {"name": CURSOR, "cursor": cursor})

    def add(
        self, before: str, after: str, chosen: Iterable[Chosen | Wish], now: datetime, settle: timedelta
    ) -> bool:
        """Queue what the events between two cursors ask for, and move the cursor on.

        Returns:
            False, and nothing is changed, when another has read them meanwhile.
        """
        here = and_(trigger_cursors.c.name == CURSOR, trigger_cursors.c.cursor == before)
        asked = list(chosen)
        ordered = sorted((each for each in asked if isinstance(each, Chosen)), key=_of)
        with writing(self._engine) as connection:
            if not connection.execute(update(trigger_cursors).where(here).values(cursor=after)).rowcount:
                return False
            for (destination, study), group in groupby(ordered, key=_of):
                some = list(group)
                number = open_shipment(connection, destination, study) or new_shipment(
                    connection, some[0], now, now + settle
                )
                added = sum(put(connection, number, each.sop) for each in some)
                total = shipments.c.total + added
                connection.execute(update(shipments).where(shipments.c.id == number).values(total=total))
            for each in {each for each in asked if isinstance(each, Wish)}:
                wish(connection, each, now, now + settle)
        return True

    def take(self, destination: str, holder: str, now: datetime, lease: timedelta) -> Shipment | None:
        """The next shipment that is due; for `lease` nobody else gets it."""
        row = shipments.c
        due = and_(row.destination == destination, row.state == "waiting", row.due_at <= now)
        query = select(shipments).where(due).order_by(row.due_at, row.id).limit(16)
        with reading(self._engine) as connection:
            rows = connection.execute(query).mappings().all()
        for each in rows:
            same = and_(row.id == each["id"], row.due_at == each["due_at"], row.state == "waiting")
            values = {"due_at": now + lease, "holder": holder}
            with writing(self._engine) as connection:
                if connection.execute(update(shipments).where(same).values(values)).rowcount:
                    return shipment_of({**each, **values})
        return None

    def instances(self, shipment: Shipment, state: str) -> list[str]:
        """SOP Instance UIDs in order; those that failed before come last."""
        row = shipment_instances.c
        query = select(row.sop_uid).where(row.shipment_id == shipment.id, row.state == state)
        with reading(self._engine) as connection:
            return list(connection.scalars(query.order_by(row.reason != "", row.id)))

    def note(self, shipment: Shipment, results: Mapping[str, str], now: datetime, lease: timedelta) -> bool:
        """Keep what became of instances, and the shipment for another `lease`.

        Args:
            shipment: of them, which `take` gave.
            results: SOP Instance UID → why it was not stored, or an empty text.
            now: the time.
            lease: from now.

        Returns:
            False when the shipment was dropped, or is another's.
        """
        sent = [sop for sop, reason in results.items() if not reason]
        with writing(self._engine) as connection:
            kept = {"due_at": now + lease, "sent": shipments.c.sent + len(sent), "changed_at": now}
            if not connection.execute(update(shipments).where(_held(shipment)).values(kept)).rowcount:
                return False
            mark(connection, shipment.id, sent, {"state": "sent", "reason": ""})
            for sop, reason in results.items():
                if reason:
                    mark(connection, shipment.id, [sop], {"reason": reason[:MOST_REASON]})
            count(connection, shipment.destination, results, now)
        return True

    def send_again(self, shipment: Shipment, results: Mapping[str, str]) -> None:
        """Instances that were sent and are not kept there: SOP Instance UID → why."""
        with writing(self._engine) as connection:
            for sop, reason in results.items():
                again = {"state": "waiting", "reason": reason[:MOST_REASON]}
                mark(connection, shipment.id, [sop], again)
            fewer = {"sent": shipments.c.sent - len(results)}
            connection.execute(update(shipments).where(_held(shipment)).values(fewer))

    def finish(self, shipment: Shipment, now: datetime) -> bool:
        """All of it is there; False when more of it has come meanwhile, which is due now."""
        with writing(self._engine) as connection:
            # Who adds locks the row too, so that nothing is added to what is finished.
            connection.execute(select(shipments.c.id).where(_held(shipment)).with_for_update())
            row = shipment_instances.c
            waits = and_(row.shipment_id == shipment.id, row.state == "waiting")
            if connection.scalar(select(func.count()).select_from(shipment_instances).where(waits)):
                values: dict[str, Any] = {"due_at": now, "attempts": 0, "reason": ""}
                connection.execute(update(shipments).where(_held(shipment)).values(values))
                return False
            done = {"state": "sent", "changed_at": now, "attempts": 0, "reason": ""}
            if connection.execute(update(shipments).where(_held(shipment)).values(done)).rowcount:
                connection.execute(delete(shipment_instances).where(row.shipment_id == shipment.id))
        return True

    def later(
        self, shipment: Shipment, due_at: datetime, reason: str = "", *, attempts: int = 0, park: bool = False
    ) -> None:
        """Try again at `due_at`, or not until somebody asks for it."""
        state: State = "parked" if park else "waiting"
        values = {"state": state, "due_at": due_at, "attempts": attempts, "reason": reason[:MOST_REASON]}
        with writing(self._engine) as connection:
            connection.execute(update(shipments).where(_held(shipment)).values(values))
            if reason:
                count_failed(connection, shipment.destination, reason, 1)

    def listed(
        self, states: Sequence[State], *, destination: str | None = None, limit: int = 1000
    ) -> list[Shipment]:
        """Shipments in any of these states, the latest first."""
        row = shipments.c
        query = select(shipments).where(row.state.in_(states)).order_by(row.id.desc()).limit(limit)
        if destination is not None:
            query = query.where(row.destination == destination)
        with reading(self._engine) as connection:
            return [shipment_of(each) for each in connection.execute(query).mappings()]

    def figures(self, destinations: Iterable[str] = ()) -> list[Figures]:
        """How each destination does, in order of their names: those given, and those that have figures."""
        with reading(self._engine) as connection:
            counts = {row["destination"]: dict(row) for row in connection.execute(_COUNTS).mappings()}
            queued = {(row.destination, row.state): row for row in connection.execute(_QUEUED)}
        names = sorted({*destinations, *counts, *(name for name, _ in queued)})
        return [_figures(name, counts.get(name, {}), queued) for name in names]

    def retry(self, number: int, now: datetime) -> Shipment:
        """Try a shipment that waits or is parked now. Raises `UnknownShipment`."""
        again = {"state": "waiting", "due_at": now, "attempts": 0, "changed_at": now, "holder": ""}
        return self._change(number, again)

    def drop(self, number: int, now: datetime) -> Shipment:
        """Give up a shipment that waits or is parked. Raises `UnknownShipment`."""
        shipment = self._change(number, {"state": "dropped", "changed_at": now, "holder": ""})
        with writing(self._engine) as connection:
            connection.execute(delete(shipment_instances).where(shipment_instances.c.shipment_id == number))
        return shipment

    def _change(self, number: int, values: Mapping[str, Any]) -> Shipment:
        row = shipments.c
        with writing(self._engine) as connection:
            unfinished = and_(row.id == number, row.state.in_(["waiting", "parked"]))
            change = update(shipments).where(unfinished).values(values).returning(*shipments.c)
            found = connection.execute(change).mappings().first()
        if found is None:
            raise UnknownShipment(f"nothing waits of a shipment {number}")
        return shipment_of(found)

    def forget(self, before: datetime) -> None:
        """Remove what was sent or dropped before this time."""
        over = and_(shipments.c.state.in_(["sent", "dropped"]), shipments.c.changed_at < before)
        with writing(self._engine) as connection:
            connection.execute(delete(shipments).where(over))


_COUNTS = select(destination_counts)
_QUEUED = (
    select(
        shipments.c.destination,
        shipments.c.state,
        func.sum(shipments.c.total - shipments.c.sent).label("instances"),
        func.min(shipments.c.queued_at).label("oldest"),
    )
    .where(shipments.c.state.in_(["waiting", "parked"]))
    .group_by(shipments.c.destination, shipments.c.state)
)


def _figures(name: str, counts: Mapping[str, Any], queued: Mapping[tuple[str, str], Any]) -> Figures:
    waiting, parked = queued.get((name, "waiting")), queued.get((name, "parked"))
    return Figures(
        name,
        waiting=int(waiting.instances) if waiting else 0,
        oldest=waiting.oldest if waiting else None,
        parked=int(parked.instances) if parked else 0,
        sent=counts.get("sent", 0),
        failed=counts.get("failed", 0),
        last_sent_at=counts.get("last_sent_at"),
        last_reason=counts.get("last_reason", ""),
    )


def _of(chosen: Chosen) -> tuple[str, str]:
    return chosen.destination, chosen.study


def _held(shipment: Shipment) -> ColumnElement[bool]:
    row = shipments.c
    return and_(row.id == shipment.id, row.holder == shipment.holder, row.state == "waiting")
