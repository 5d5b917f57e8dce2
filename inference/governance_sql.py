"""Decisions about models as rows that are only ever added."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Engine, RowMapping, Select, exists, func, insert, select

from inference.governance import Decision, Standing
from inference.tables import model_decisions
from inference.workitems_sql import utc_now
from storage.sql.engine import reading, writing


class SqlDecisions:
    """The decisions of an installation; any number of processes may use one database."""

    def __init__(self, engine: Engine, clock: Callable[[], datetime] = utc_now) -> None:
        self._engine = engine
        self._clock = clock

    def record(
        self, model: str, standing: Standing, *, by: str, version: str | None = None, reason: str = ""
    ) -> Decision:
        """Decide; the decision is in force at once, in every process."""
        decision = Decision(model, version, standing, by, reason, self._clock())
        values = {name: getattr(decision, name) for name in Decision.__slots__}
        with writing(self._engine) as connection:
            connection.execute(insert(model_decisions).values(values | {"standing": standing.value}))
        return decision

    def latest(self) -> dict[str, Decision]:
        """The decision in force for each model that there is one for; those on its shadow left out."""
        query = _newest(model_decisions.c.standing != Standing.SHADOW)
        with reading(self._engine) as connection:
            return {row["model"]: _decision(row) for row in connection.execute(query).mappings()}

    def shadows(self) -> dict[str, str]:
        """Name of the model → its version that is in shadow, where there is one.

        A version leaves the shadow when it is enabled, and does not fall back into it by itself.
        """
        row, later = model_decisions.c, model_decisions.alias()
        enabled = exists(
            select(1).where(
                later.c.model == row.model,
                later.c.version == row.version,
                later.c.standing == Standing.ENABLED,
                later.c.id > row.id,
            )
        )
        query = _newest(row.standing == Standing.SHADOW).where(row.version.is_not(None), ~enabled)
        with reading(self._engine) as connection:
            return {row["model"]: row["version"] for row in connection.execute(query).mappings()}

    def history(self, model: str) -> tuple[Decision, ...]:
        """All decisions on a model, the newest first."""
        query = select(model_decisions).where(model_decisions.c.model == model)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(model_decisions.c.id.desc())).mappings()
            return tuple(_decision(row) for row in rows)


def _newest(which: ColumnElement[bool]) -> Select[Any]:
    """The newest decision of each model, of those that are `which`."""
    newest = select(func.max(model_decisions.c.id)).where(which).group_by(model_decisions.c.model)
    return select(model_decisions).where(model_decisions.c.id.in_(newest))


def _decision(row: RowMapping) -> Decision:
    return Decision(
        row["model"], row["version"], Standing(row["standing"]), row["by"], row["reason"], row["at"]
    )
