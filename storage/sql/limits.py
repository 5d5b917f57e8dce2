"""The time a search may take in the database."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, exc

from storage.errors import QueryTooBroad

_STEPS = 1_000
"""Instructions of SQLite's machine between two looks at the clock: some 50 microseconds."""
_CANCELED = "57014"
"""PostgreSQL's query_canceled."""


@contextmanager
def limited(connection: Connection, seconds: float) -> Iterator[None]:
    """Stop what takes longer: with SQLite everything inside together, with PostgreSQL each statement.

    Raises:
        QueryTooBroad: it was stopped.
    """
    stopping = _sqlite if connection.dialect.name == "sqlite" else _postgres
    try:
        with stopping(connection, seconds):
            yield
    except exc.OperationalError as error:
        if not _is_stopped(error.orig):
            raise
        raise QueryTooBroad(f"query too broad, stopped after {seconds:g} s: narrow it") from error


@contextmanager
def _sqlite(connection: Connection, seconds: float) -> Iterator[None]:
    driver: Any = connection.connection
    end = time.monotonic() + seconds
    driver.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
    try:
        yield
    finally:
        driver.set_progress_handler(None, 0)


@contextmanager
def _postgres(connection: Connection, seconds: float) -> Iterator[None]:
    # 0 would be no limit at all.
    connection.exec_driver_sql(f"SET statement_timeout = {max(round(1000 * seconds), 1)}")
    try:
        yield
    finally:
        connection.exec_driver_sql("RESET statement_timeout")


def _is_stopped(cause: BaseException | None) -> bool:
    code = getattr(cause, "sqlite_errorcode", None)
    return code == sqlite3.SQLITE_INTERRUPT or getattr(cause, "sqlstate", None) == _CANCELED
