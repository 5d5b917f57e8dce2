"""Statements compiled once and run by the driver itself, for the few that every instance needs.

They take microseconds in the database, and what SQLAlchemy does around each of them several times that.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, Column, Connection, Dialect, bindparam, exc

Binds = dict[str, BindParameter[Any]]
"""The parameters of one row, by the name of its column."""
Build = Callable[[str, list[Binds]], Any]
"""From the name of a dialect and the parameters of all rows to a statement."""

_MOST = 64
"""Rows in one statement, a power of two."""


@dataclass(frozen=True, slots=True)
class _Compiled:
    sql: str
    names: list[str]
    order: list[int] | None
    """Where each placeholder finds its value; None when they have names."""
    encoders: list[tuple[int, Callable[[Any], Any]]]
    decoders: list[tuple[int, Callable[[Any], Any]]]


class Prepared:
    """One statement over any number of rows of parameters.

    It is compiled for numbers of rows that are powers of two, so that there are few of them to keep.
    """

    def __init__(self, takes: Sequence[Column[Any]], gives: Sequence[Any], build: Build) -> None:
        """Compile nothing yet.

        Args:
            takes: what a row of parameters consists of.
            gives: the columns or labels of the rows it answers.
            build: makes the statement.
        """
        self._takes = tuple(takes)
        self._gives = tuple(gives)
        self._build = build
        self._compiled: dict[tuple[str, int], _Compiled] = {}

    def ask(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> list[Any]:
        """The answers to a question about `rows` as a set: the last may be given to the database twice."""
        answers: list[Any] = []
        for at in range(0, len(rows), _MOST):
            some = rows[at : at + _MOST]
            fill = (1 << (len(some) - 1).bit_length()) - len(some)
            answers += self._run(connection, [*some, *([some[-1]] * fill)])
        return answers

    def write(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> list[Any]:
        """Run it for `rows`, each exactly once and in order; what it returns."""
        return [found for some in _powers_of_two(rows) for found in self._run(connection, some)]

    def _run(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> list[Any]:
        dialect = connection.dialect
        compiled = self._compiled.get((dialect.name, len(rows))) or self._compile(dialect, len(rows))
        values = [value for row in rows for value in row]
        for at, encode in compiled.encoders:
            values[at] = encode(values[at])
        order = compiled.order
        parameters: Any = (
            dict(zip(compiled.names, values, strict=True)) if order is None else [values[at] for at in order]
        )
        answers = run(connection, compiled.sql, parameters, answers=bool(self._gives))
        return [_decoded(row, compiled.decoders) for row in answers] if compiled.decoders else answers

    def _compile(self, dialect: Dialect, count: int) -> _Compiled:
        width = len(self._takes)
        names = [f"{column.name}_{row}" for row in range(count) for column in self._takes]
        binds = [
            {column.name: bindparam(f"{column.name}_{row}", type_=column.type) for column in self._takes}
            for row in range(count)
        ]
        made: Any = self._build(dialect.name, binds).compile(dialect=dialect)
        position = {name: at for at, name in enumerate(names)}
        encoders = [column.type.dialect_impl(dialect).bind_processor(dialect) for column in self._takes]
        decoders = [
            column.type.dialect_impl(dialect).result_processor(dialect, None) for column in self._gives
        ]
        compiled = self._compiled[dialect.name, count] = _Compiled(
            str(made),
            names,
            [position[name] for name in made.positiontup] if made.positional else None,
            [(row * width + at, do) for row in range(count) for at, do in enumerate(encoders) if do],
            [(at, do) for at, do in enumerate(decoders) if do],
        )
        return compiled


def _powers_of_two(rows: Sequence[Sequence[Any]]) -> Iterator[Sequence[Sequence[Any]]]:
    at = 0
    while left := len(rows) - at:
        size = min(_MOST, 1 << (left.bit_length() - 1))
        yield rows[at : at + size]
        at += size


def _decoded(row: Sequence[Any], decoders: list[tuple[int, Callable[[Any], Any]]]) -> Sequence[Any]:
    values = list(row)
    for at, decode in decoders:
        values[at] = decode(values[at])
    return values


def run(connection: Connection, sql: str, parameters: Any = (), *, answers: bool = False) -> list[Any]:
    """Have the driver itself run a statement; what it answers. Raises `DBAPIError`."""
    dialect: Any = connection.dialect
    try:
        cursor = connection.connection.cursor()
        try:
            cursor.execute(sql, parameters)
            return list(cursor.fetchall()) if answers else []
        finally:
            cursor.close()
    except dialect.dbapi.Error as error:
        raise _error(dialect, error, sql) from error


@contextmanager
def together(connection: Connection) -> Iterator[None]:
    """Send to PostgreSQL what `run` and `Prepared.write` do within, without waiting for each answer."""
    if connection.dialect.name != "postgresql":
        yield
        return
    dialect: Any = connection.dialect
    driver: Any = connection.connection.dbapi_connection
    try:
        with driver.pipeline():
            yield
    except dialect.dbapi.Error as error:
        raise _error(dialect, error, "several statements") from error


def _error(dialect: Any, error: Exception, sql: str) -> Exception:
    return exc.DBAPIError.instance(sql, None, error, dialect.dbapi.Error, dialect=dialect)
