"""Transactions of what every instance needs: over a connection that stays open from one to the next.

Taking a connection from the pool and giving it back costs as much as the rows of an instance.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection, Engine, event, exc

from storage.sql.engine import LOCK_SHARED, database_errors, end, write_lock
from storage.sql.prepared import run, together


class Writer:
    """As `storage.sql.engine.writing`, for what writes often; may be used from several threads."""

    def __init__(self, engine: Engine) -> None:
        """Connect to nothing yet; what is open is closed when `engine` is disposed of."""
        self._engine = engine
        self._idle: dict[bool, list[Connection]] = {True: [], False: []}
        event.listen(engine, "engine_disposed", self._close)

    @contextmanager
    def writing(self, *, settled: bool) -> Iterator[Connection]:
        """A transaction that writes, committed on leaving; see `storage.sql.engine.writing`."""
        with database_errors(), write_lock(self._engine):
            connection = self._begun(settled)
            try:
                yield connection
                connection.commit()
            except BaseException:
                connection.close()
                raise
            self._idle[settled].append(connection)

    def _close(self, _engine: Engine) -> None:
        for idle in self._idle.values():
            while idle:
                end(idle.pop())

    def _begun(self, settled: bool) -> Connection:
        while self._idle[settled]:
            connection = self._idle[settled].pop()
            with suppress(exc.DBAPIError):  # the server has closed it since
                return _begin(connection)
        connection = self._engine.connect().execution_options(writing="prepared")
        if connection.dialect.name == "sqlite":
            run(connection, f"PRAGMA synchronous={'FULL' if settled else 'NORMAL'}")
        return _begin(connection)


def _begin(connection: Connection) -> Connection:
    try:
        connection.begin()
        if connection.dialect.name == "postgresql":
            with together(connection):  # with BEGIN
                run(connection, LOCK_SHARED)
    except BaseException:
        end(connection)
        raise
    return connection
