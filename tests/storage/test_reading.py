"""Connections that readers hand on to each other."""

import pytest
from sqlalchemy import text

from storage.errors import InvalidQuery, StorageDown
from storage.sql.engine import connect, reading


def backend(connection) -> int:
    return connection.execute(text("SELECT pg_backend_pid()")).scalar()


def test_a_connection_is_read_from_again(engine):
    with reading(engine) as connection:
        first = connection.connection.dbapi_connection
        connection.execute(text("SELECT 1"))
    assert not connection.in_transaction()
    with reading(engine) as connection:
        assert connection.connection.dbapi_connection is first
        with reading(engine) as other:
            assert other.connection.dbapi_connection is not first


def test_what_failed_is_not_read_from_again(engine):
    with pytest.raises(InvalidQuery), reading(engine) as connection:
        raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogate")
    assert connection.closed
    with reading(engine) as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1


def test_a_connection_that_the_server_has_closed_is_replaced(postgres_index, monkeypatch):
    monkeypatch.setattr("storage.sql.engine._TRUSTED", 0)
    engine = connect(postgres_index)
    with reading(engine) as connection:
        first = backend(connection)
        with reading(engine) as other:
            other.execute(text(f"SELECT pg_terminate_backend({first})"))
    with reading(engine) as connection, reading(engine) as other:
        assert first not in {backend(connection), backend(other)}
    engine.dispose()


def test_a_connection_that_breaks_under_a_reader_says_so(postgres_index):
    engine = connect(postgres_index)
    with pytest.raises(StorageDown), reading(engine) as connection:
        connection.execute(text(f"SELECT pg_terminate_backend({backend(connection)})"))
    with reading(engine) as connection:
        assert backend(connection)
    engine.dispose()
