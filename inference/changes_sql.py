"""Marks that differ when what pages show has changed: cheap to ask for, however much is stored."""

from collections.abc import Mapping

from sqlalchemy import Connection, Engine, func, select

from inference.tables import findings, is_unacknowledged, model_decisions, reviews, work_items
from inference.workitems import State
from storage.sql import events, refusals
from storage.sql.engine import reading

_MOST = 1000
"""So much work of a state is looked at: of more that waits, a cancellation alone leaves the mark as it is."""


class SqlChanges:
    """Reads ends of tables and short lists, all by an index."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def marks(self) -> Mapping[str, str]:
        """The marks of `studies`, `work`, `reviews`, `models` and `refusals`. Raises `StorageDown`."""
        with reading(self._engine) as connection:
            return {
                "studies": events.last_cursor(connection),
                "work": _work(connection),
                "reviews": _reviews(connection),
                "models": str(connection.scalar(select(func.max(model_decisions.c.id)))),
                "refusals": refusals.last_at(connection),
            }


def _work(connection: Connection) -> str:
    row = work_items.c
    under_way = (
        select(row.uid, row.attempts, row.progress)
        .where(row.state == State.IN_PROGRESS)
        .order_by(row.priority, row.due_at)
        .limit(_MOST)
    )
    waiting = select(row.state).where(row.state == State.SCHEDULED).limit(_MOST).subquery()
    newest = connection.scalar(select(func.max(row.created_at)))
    number = connection.scalar(select(func.count()).select_from(waiting))
    found = connection.scalar(select(func.max(findings.c.id)))
    return f"{newest} {found} {number} {sorted(tuple(each) for each in connection.execute(under_way))}"


def _reviews(connection: Connection) -> str:
    critical = select(func.count()).select_from(findings).where(is_unacknowledged)
    return f"{connection.scalar(select(func.max(reviews.c.id)))} {connection.scalar(critical)}"
