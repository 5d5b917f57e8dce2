"""Errands in SQL: what is still to be done for which study."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Engine, RowMapping, and_, delete, select, update

from inference.inserting import insert_if_absent
from isocenter.routing.shipments import Wish
from isocenter.routing.tables import errands
from storage.sql.engine import reading, writing

Kind = Literal["prefetch", "notice"]
State = Literal["waiting", "done", "parked"]
_MOST_REASON = 1000


@dataclass(frozen=True, slots=True)
class Errand:
    """What one rule wants done for one study."""

    kind: Kind
    rule: str
    study: str
    state: State
    queued_at: datetime
    due_at: datetime
    """When it is tried next; of one that was taken, when it may be taken by others."""
    attempts: int
    done: int
    """Studies that were fetched, or instances that were told of."""
    reason: str
    """Why the last attempt failed."""


def wish(connection: Connection, wished: Wish, now: datetime, due_at: datetime) -> None:
    """Do an errand: once for each study, or again if the wish says so."""
    key = {"kind": wished.kind, "rule": wished.rule, "study_uid": wished.study}
    again = {"state": "waiting", "due_at": due_at}
    if not insert_if_absent(connection, errands, key | again | {"queued_at": now}) and wished.again:
        # Who is at it has another `due_at` now, and cannot say that it is done.
        row = errands.c
        same = and_(*(row[name] == value for name, value in key.items()))
        fresh = {"attempts": 0, "queued_at": now, **again}
        connection.execute(update(errands).where(same).values(fresh))


class SqlErrands:
    """Errands of one kind. Any number of routers may share them. Every method raises `StorageDown`."""

    def __init__(self, engine: Engine, kind: Kind) -> None:
        self._engine = engine
        self._kind = kind

    def take(self, rule: str, now: datetime, lease: timedelta) -> Errand | None:
        """The next that is due; for `lease` nobody else gets it."""
        row = errands.c
        due = and_(row.kind == self._kind, row.rule == rule, row.state == "waiting", row.due_at <= now)
        query = select(errands).where(due).order_by(row.due_at).limit(1)
        with reading(self._engine) as connection:
            found = connection.execute(query).mappings().first()
        if found is None:
            return None
        return self._leased(_errand(found), now + lease)

    def _leased(self, errand: Errand, until: datetime) -> Errand | None:
        row = errands.c
        with writing(self._engine) as connection:
            leased = update(errands).where(_held(errand)).values(due_at=until).returning(*row)
            found = connection.execute(leased).mappings().first()
        return _errand(found) if found else None

    def renew(self, errand: Errand, until: datetime) -> Errand | None:
        """It still goes on; None when it was taken over or wished for again."""
        return self._leased(errand, until)

    def done(self, errand: Errand, done: int) -> None:
        """All that is wanted is done."""
        self._set(errand, state="done", done=done, reason="")

    def later(self, errand: Errand, due_at: datetime, reason: str, *, park: bool) -> None:
        """It did not work out: try again, or not."""
        state: State = "parked" if park else "waiting"
        attempts = errand.attempts + 1
        self._set(errand, state=state, due_at=due_at, attempts=attempts, reason=reason[:_MOST_REASON])

    def listed(self, states: Sequence[State], limit: int = 1000) -> list[Errand]:
        """Those in any of these states, the latest first."""
        row = errands.c
        here = and_(row.kind == self._kind, row.state.in_(states))
        query = select(errands).where(here).order_by(row.queued_at.desc()).limit(limit)
        with reading(self._engine) as connection:
            return [_errand(each) for each in connection.execute(query).mappings()]

    def forget(self, before: datetime) -> None:
        """Remove what was done and queued before this time."""
        row = errands.c
        over = and_(row.kind == self._kind, row.state == "done", row.queued_at < before)
        with writing(self._engine) as connection:
            connection.execute(delete(errands).where(over))

    def _set(self, errand: Errand, **values: Any) -> None:
        with writing(self._engine) as connection:
            connection.execute(update(errands).where(_held(errand)).values(values))


def _held(errand: Errand) -> ColumnElement[bool]:
    row = errands.c
    same = (row.kind == errand.kind, row.rule == errand.rule, row.study_uid == errand.study)
    return and_(*same, row.state == "waiting", row.due_at == errand.due_at)


def _errand(row: RowMapping) -> Errand:
    return Errand(
        kind=row["kind"],
        rule=row["rule"],
        study=row["study_uid"],
        state=row["state"],
        queued_at=row["queued_at"],
        due_at=row["due_at"],
        attempts=row["attempts"],
        done=row["done"],
        reason=row["reason"],
    )
