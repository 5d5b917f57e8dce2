"""Prefetches in SQL: of which studies the priors are still to be fetched."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Engine, RowMapping, and_, delete, select, update

from inference.inserting import insert_if_absent
from isocenter.routing.tables import prefetches
from storage.sql.engine import reading, writing

State = Literal["waiting", "done", "parked"]
_MOST_REASON = 1000


@dataclass(frozen=True, slots=True)
class Prefetch:
    """The priors of one study, by one rule."""

    rule: str
    study: str
    state: State
    queued_at: datetime
    due_at: datetime
    attempts: int
    fetched: int
    """Studies that came."""
    reason: str
    """Why the last attempt failed."""


def wish(connection: Connection, rule: str, study: str, now: datetime, due_at: datetime) -> None:
    """Fetch the priors of a study, once."""
    values = {"rule": rule, "study_uid": study, "state": "waiting", "queued_at": now, "due_at": due_at}
    insert_if_absent(connection, prefetches, values)


class SqlPrefetches:
    """Any number of routers may share them. Every method raises `StorageDown`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def take(self, rule: str, now: datetime, lease: timedelta) -> Prefetch | None:
        """The next that is due; for `lease` nobody else gets it."""
        row = prefetches.c
        due = and_(row.rule == rule, row.state == "waiting", row.due_at <= now)
        query = select(prefetches).where(due).order_by(row.due_at).limit(1)
        with reading(self._engine) as connection:
            found = connection.execute(query).mappings().first()
        if found is None:
            return None
        prefetch = _prefetch(found)
        with writing(self._engine) as connection:
            leased = update(prefetches).where(_is(prefetch), row.due_at == prefetch.due_at)
            taken = connection.execute(leased.values(due_at=now + lease)).rowcount
        return prefetch if taken else None

    def renew(self, prefetch: Prefetch, until: datetime) -> None:
        """It still goes on."""
        self._set(prefetch, due_at=until)

    def done(self, prefetch: Prefetch, fetched: int) -> None:
        """All that is wanted is here."""
        self._set(prefetch, state="done", fetched=fetched, reason="")

    def later(self, prefetch: Prefetch, due_at: datetime, reason: str, *, park: bool) -> None:
        """It did not work out: try again, or not."""
        state: State = "parked" if park else "waiting"
        attempts = prefetch.attempts + 1
        self._set(prefetch, state=state, due_at=due_at, attempts=attempts, reason=reason[:_MOST_REASON])

    def listed(self, states: Sequence[State], limit: int = 1000) -> list[Prefetch]:
        """Those in any of these states, the latest first."""
        row = prefetches.c
        query = select(prefetches).where(row.state.in_(states)).order_by(row.queued_at.desc()).limit(limit)
        with reading(self._engine) as connection:
            return [_prefetch(each) for each in connection.execute(query).mappings()]

    def forget(self, before: datetime) -> None:
        """Remove what was done for studies that came before this time."""
        over = and_(prefetches.c.state == "done", prefetches.c.queued_at < before)
        with writing(self._engine) as connection:
            connection.execute(delete(prefetches).where(over))

    def _set(self, prefetch: Prefetch, **values: Any) -> None:
        with writing(self._engine) as connection:
            connection.execute(update(prefetches).where(_is(prefetch)).values(values))


def _is(prefetch: Prefetch) -> ColumnElement[bool]:
    row = prefetches.c
    return and_(row.rule == prefetch.rule, row.study_uid == prefetch.study, row.state == "waiting")


def _prefetch(row: RowMapping) -> Prefetch:
    return Prefetch(
        rule=row["rule"],
        study=row["study_uid"],
        state=row["state"],
        queued_at=row["queued_at"],
        due_at=row["due_at"],
        attempts=row["attempts"],
        fetched=row["fetched"],
        reason=row["reason"],
    )
