"""The parts that run, in the table that all of them share."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Column, Engine, Integer, MetaData, Table, delete, select, update

from inference.inserting import insert_if_absent
from isocenter.parts import Part
from storage.sql.engine import reading, writing
from storage.sql.tables import Plain, UtcTime

metadata = MetaData()

parts = Table(
    "parts",
    metadata,
    Column("id", Plain, primary_key=True),
    Column("name", Plain, nullable=False),
    Column("host", Plain, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", Plain, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("beat_at", UtcTime, nullable=False),
)


class SqlParts:
    """Every method raises `StorageDown` when the database does not answer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def beat(self, part: Part) -> None:
        """A part runs, and did at its `beat_at`."""
        heard = update(parts).where(parts.c.id == part.id).values(beat_at=part.beat_at)
        with writing(self._engine) as connection:
            if not connection.execute(heard).rowcount:
                insert_if_absent(connection, parts, asdict(part))

    def gone(self, ids: Sequence[str]) -> None:
        """These run no longer."""
        if ids:
            with writing(self._engine) as connection:
                connection.execute(delete(parts).where(parts.c.id.in_(ids)))

    def all(self) -> list[Part]:
        """By name, then by machine, the one that was started last first."""
        query = select(parts).order_by(parts.c.name, parts.c.host, parts.c.started_at.desc())
        with reading(self._engine) as connection:
            return [Part(**row) for row in connection.execute(query).mappings()]
