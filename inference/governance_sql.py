"""Decisions about models as rows that are only ever added."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Engine, RowMapping, func, insert, select

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
        """The decision in force for each model that there is one for."""
        newest = select(func.max(model_decisions.c.id)).group_by(model_decisions.c.model)
        query = select(model_decisions).where(model_decisions.c.id.in_(newest))
        with reading(self._engine) as connection:
            return {row["model"]: _decision(row) for row in connection.execute(query).mappings()}

    def history(self, model: str) -> tuple[Decision, ...]:
        """All decisions on a model, the newest first."""
        query = select(model_decisions).where(model_decisions.c.model == model)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(model_decisions.c.id.desc())).mappings()
            return tuple(_decision(row) for row in rows)


def _decision(row: RowMapping) -> Decision:
    return Decision(
        row["model"], row["version"], Standing(row["standing"]), row["by"], row["reason"], row["at"]
    )
