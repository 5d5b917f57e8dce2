"""Marks of everything that pages show, those of the parts and of what is sent on among them."""

from collections.abc import Mapping
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, func, select

from inference.changes_sql import SqlChanges
from isocenter.parts import SILENT
from isocenter.parts_sql import parts
from isocenter.routing.tables import destination_counts, shipments
from storage.sql.engine import reading


class SqlAllChanges:
    """What `SqlChanges` marks, and what the operations page shows besides."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._told = SqlChanges(engine)

    def marks(self) -> Mapping[str, str]:
        """Those of `SqlChanges`, and the marks of `parts` and `routes`. Raises `StorageDown`."""
        with reading(self._engine) as connection:
            own = {"parts": _parts(connection), "routes": _routes(connection)}
        return {**self._told.marks(), **own}


def _parts(connection: Connection) -> str:
    """Which there are, and which of them are silent: a beat alone is no news."""
    silent = (parts.c.beat_at < datetime.now(UTC) - SILENT).label("silent")
    return str([tuple(row) for row in connection.execute(select(parts.c.id, silent).order_by(parts.c.id))])


def _routes(connection: Connection) -> str:
    """What was queued last, and how much has gone to each destination."""
    newest = connection.scalar(select(func.max(shipments.c.id)))
    counts = connection.execute(select(destination_counts).order_by(destination_counts.c.destination))
    return f"{newest} {[tuple(row) for row in counts]}"
