"""Connections to SQLite or PostgreSQL, and the one way to write through them."""

import fcntl
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, exc, make_url, text

from storage.disk import disk_errors, flush_bytes
from storage.errors import InvalidQuery, StorageDown, StorageFull

_BUSY_MS = 30_000
_KEPT = 4
"""Connections that wait for the next reader; their pool has 30."""
_TRUSTED = 1.0
"""Seconds for which a connection is used again without asking whether its server is still there."""
_POSTGRES = {
    # A prepared LIKE flips to its generic plan after a few costly patterns: 500 ms instead of 0.2 ms.
    "prepare_threshold": None,
    "connect_timeout": 10,
    "application_name": "isocenter",
}
# One number for the advisory locks of all our processes in a database: "isocentr" in ASCII.
_LOCK = 0x69736F63656E7472
_LOCK_ALONE = f"SELECT pg_advisory_xact_lock({_LOCK})"
LOCK_SHARED = f"SELECT pg_advisory_xact_lock_shared({_LOCK})"
"""Taken by PostgreSQL's transactions that write, and do not remove."""


def connect(url: str) -> Engine:
    """An engine for `sqlite:///path` or `postgresql://user:password@host/database`; connects when first used.

    Raises:
        ValueError: the URL names another kind of database, or an SQLite database that is no file.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        return _postgres(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database and parsed.database != ":memory:":
        return _sqlite(url, Path(parsed.database))
    shown = parsed.render_as_string(hide_password=True)
    raise ValueError(f"{shown}: the index lives in sqlite:///FILE or postgresql://…")


def _postgres(url: str) -> Engine:
    parsed = make_url(url).set(drivername="postgresql+psycopg")
    readers = _Readers()
    engine = create_engine(
        parsed,
        pool_size=10,
        max_overflow=20,
        # The connection used last has the pages of the last instance in its cache.
        pool_use_lifo=True,
        pool_pre_ping=True,
        connect_args=_POSTGRES,
        isolation_level="READ COMMITTED",
        execution_options={"readers": readers},
    )
    event.listen(engine, "engine_disposed", readers.close)

    @event.listens_for(engine, "connect")
    def durable(connection: Any, _: Any) -> None:
        # Success means durable, whatever the server's default is.
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('synchronous_commit', 'on', false)"
                " WHERE current_setting('synchronous_commit') = 'off'"
            )
        connection.commit()

    return engine


# A deferred BEGIN that writes later fails on a stale snapshot, whatever the busy timeout is.
_BEGIN = {
    None: ("BEGIN",),
    "settled": ("PRAGMA synchronous=FULL", "BEGIN IMMEDIATE"),
    # Loses commits when the power fails, the last ones first.
    "unsettled": ("PRAGMA synchronous=NORMAL", "BEGIN IMMEDIATE"),
    "prepared": ("BEGIN IMMEDIATE",),
}


def _sqlite(url: str, path: Path) -> Engine:
    readers = _Readers()
    engine = create_engine(
        url,
        pool_size=10,
        max_overflow=20,
        # The connection used last has the pages of the last instance in its cache.
        pool_use_lifo=True,
        connect_args={"timeout": _BUSY_MS / 1000, "check_same_thread": False, "isolation_level": None},
        execution_options={
            "write_lock": _FileLock(path.with_name(path.name + "-lock")),
            "readers": readers,
        },
    )
    event.listen(engine, "engine_disposed", readers.close)

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: Any) -> None:
        for pragma in (
            f"busy_timeout={_BUSY_MS}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "cache_size=-64000",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # By the driver itself: that takes a tenth of the time.
        cursor = connection.connection.cursor()
        for statement in _BEGIN[connection.get_execution_options().get("writing")]:
            cursor.execute(statement)
        cursor.close()

    return engine


class _FileLock:
    """One writer at a time among all threads and processes, in a fair order.

    SQLite's own busy handler polls: with several writers the unlucky ones wait for seconds.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = threading.Lock()
        self._fd = -1

    def __enter__(self) -> None:
        self._thread.acquire()
        try:
            if self._fd < 0:
                self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            fcntl.flock(self._fd, fcntl.LOCK_EX)
        except BaseException:
            self._thread.release()
            raise

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_UN)
        self._thread.release()

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)


@contextmanager
def writing(engine: Engine, *, alone: bool = False, settled: bool = True) -> Iterator[Connection]:
    """A transaction that writes, committed on leaving; on SQLite it is the only one.

    Args:
        engine: from `connect`.
        settled: False when SQLite need not flush it before `settle`. A later transaction that is flushed
            takes all before it along, whoever wrote them: they share one file, which is written in order.
        alone: PostgreSQL too runs no other of these transactions meanwhile. Needed by what removes rows or
            blobs, so that nobody who adds relies on what is about to go.

    Raises:
        StorageDown: the database did not answer.
        StorageFull: it has no room left.
    """
    with database_errors(), engine.connect() as plain, _transaction(plain, alone, settled) as connection:
        yield connection


def write_lock(engine: Engine) -> AbstractContextManager[None]:
    """Held around each transaction that writes to SQLite."""
    lock: _FileLock | None = engine.get_execution_options().get("write_lock")
    return lock or nullcontext()


@contextmanager
def _transaction(plain: Connection, alone: bool, settled: bool) -> Iterator[Connection]:
    with write_lock(plain.engine):
        connection = plain.execution_options(writing="settled" if settled else "unsettled")
        with connection.begin():
            if connection.dialect.name == "postgresql":
                connection.execute(text(_LOCK_ALONE if alone else LOCK_SHARED))
            yield connection


def settle(engine: Engine) -> None:
    """Flush the transactions that were not settled. Raises `StorageDown`."""
    if engine.dialect.name == "sqlite":
        log = f"{engine.url.database}-wal"
        with disk_errors(f"flush {log}"), suppress(FileNotFoundError):
            # Not there when its last user has moved all of it to the database, which flushes both.
            flush_bytes(Path(log))


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection to read with; raises as `writing` does.

    Raises:
        InvalidQuery: a value that is asked for is none that the database could have.
    """
    readers: _Readers = engine.get_execution_options()["readers"]
    with database_errors(), _value_errors():
        connection = readers.take(engine)
        try:
            yield connection
            if connection.in_transaction():
                connection.rollback()
        except BaseException:
            connection.close()
            raise
        readers.give_back(connection)


class _Readers:
    """Connections that stay open from one reader to the next.

    To take one from the pool and give it back costs more than most of what is asked.
    """

    def __init__(self) -> None:
        self._idle: deque[tuple[float, Connection]] = deque()

    def take(self, engine: Engine) -> Connection:
        for since, connection in self._taken():
            if time.monotonic() - since < _TRUSTED or _answers(connection):
                return connection
            end(connection)
        connection = engine.connect()
        if connection.dialect.name == "postgresql":
            # Each question is one statement; BEGIN and ROLLBACK around it would be two more round trips.
            connection.execution_options(isolation_level="AUTOCOMMIT")
        return connection

    def give_back(self, connection: Connection) -> None:
        if len(self._idle) < _KEPT:
            self._idle.append((time.monotonic(), connection))
        else:
            connection.close()

    def close(self, _engine: Engine) -> None:
        for _, connection in self._taken():
            end(connection)

    def _taken(self) -> Iterator[tuple[float, Connection]]:
        # Another thread may take the last one between a look and a `pop`.
        with suppress(IndexError):
            while True:
                yield self._idle.pop()


def _answers(connection: Connection) -> bool:
    """Its server has not closed it since."""
    try:
        connection.exec_driver_sql("SELECT 1").close()
        connection.rollback()
    except exc.DBAPIError:
        return False
    return True


def end(connection: Connection) -> None:
    """Close it for good: its pool may be one that is used no more."""
    connection.invalidate()
    connection.close()


@contextmanager
def _value_errors() -> Iterator[None]:
    try:
        yield
    except (exc.DataError, UnicodeEncodeError, OverflowError) as error:
        raise InvalidQuery("the index has no such value") from error


@contextmanager
def database_errors() -> Iterator[None]:
    """Turn what says that the database is away or full into `StorageDown` and `StorageFull`."""
    try:
        yield
    except _AWAY as error:
        cause = getattr(error, "orig", None) or error
        raise _kind(cause)(f"the index does not answer: {_first_line(cause)}") from error


_AWAY = (
    *(exc.OperationalError, exc.InterfaceError, exc.InternalError, exc.TimeoutError),
    sqlite3.OperationalError,  # from BEGIN
)
_FULL_SQLSTATES = {"53100", "53200", "54000"}


def _kind(cause: BaseException) -> type[StorageDown | StorageFull]:
    full = getattr(cause, "sqlstate", None) in _FULL_SQLSTATES or "is full" in str(cause)
    return StorageFull if full else StorageDown


def _first_line(cause: BaseException) -> str:
    return (str(cause).splitlines() or [type(cause).__name__])[0]
