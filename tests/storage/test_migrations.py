"""The migrations make the tables that the code knows, once, on both databases."""

import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, inspect, text

from isocenter.migrations import current, is_current, upgrade
from isocenter.parts_sql import metadata as parts
from isocenter.routing.tables import metadata as queues
from storage.errors import StorageDown
from storage.sql.engine import connect, writing
from storage.sql.workflow_tables import metadata  # the same, with all tables of `storage` in it

ROOT = Path(__file__).parents[2]


def test_tables_are_those_of_the_code(engine: Engine):
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "include_object": lambda thing, name, kind, *_: (
                    (kind != "table" or name in metadata.tables) and not (name or "").endswith("_trigrams")
                ),
            },
        )
        assert compare_metadata(context, metadata) == []
        assert metadata.tables.keys() <= set(inspect(connection).get_table_names())


@pytest.mark.parametrize("those", [queues, parts], ids=["queues", "parts"])
def test_tables_of_the_application_are_those_of_the_code(engine: Engine, those):
    with engine.connect() as connection:
        ours = those.tables
        options = {"include_object": lambda _, name, kind, *rest: kind != "table" or name in ours}
        context = MigrationContext.configure(connection, opts=options | {"compare_type": True})
        assert compare_metadata(context, those) == []


def test_upgrade_again_is_harmless(engine: Engine):
    before = current(engine)
    upgrade(engine)
    assert current(engine) == before
    assert is_current(engine)


def test_empty_database_is_not_current(postgres_url: str, tmp_path: Path):
    for url in (postgres_url, f"sqlite:///{tmp_path / 'empty.db'}"):
        engine = connect(url)
        assert current(engine) is None
        assert not is_current(engine)
        engine.dispose()


def test_many_processes_may_upgrade_at_once(postgres_url: str, tmp_path: Path):
    for url in (postgres_url, f"sqlite:///{tmp_path / 'shared.db'}"):
        with ThreadPoolExecutor(6) as threads:
            list(threads.map(upgrade, [url] * 6))
        engine = connect(url)
        assert is_current(engine)
        engine.dispose()


def test_newer_database_is_refused(engine: Engine):
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ValueError, match="9999"):
        upgrade(engine)


def test_database_that_is_away_is_storage_down():
    with pytest.raises(StorageDown):
        upgrade("postgresql://nobody@127.0.0.1:1/nothing")


@pytest.mark.parametrize("url", ["mysql://host/database", "sqlite://", "sqlite:///:memory:"])
def test_other_databases_are_refused_by_name(url: str):
    with pytest.raises(ValueError, match="index lives in"):
        connect(url)


def test_sqlite_is_durable(tmp_path: Path):
    engine = connect(f"sqlite:///{tmp_path / 'index.db'}")
    with engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    engine.dispose()


def test_postgresql_is_durable_whatever_the_server_is_set_to(postgres_url: str):
    name = postgres_url.rsplit("/", 1)[1]
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    engine = connect(postgres_url)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
    engine.dispose()


def test_user_who_may_not_create_extensions_gets_slower_searches(
    postgres_url: str, caplog: pytest.LogCaptureFixture
):
    name = postgres_url.rsplit("/", 1)[1]
    user = f"plain_{name}"
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {user} LOGIN")
        admin.execute("GRANT CREATE, USAGE ON SCHEMA public TO PUBLIC")
    engine = connect(postgres_url.replace("isocenter@", f"{user}@"))
    with caplog.at_level(logging.WARNING):
        upgrade(engine)
    assert "pg_trgm" in caplog.text
    assert is_current(engine)
    engine.dispose()
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as admin:
        admin.execute(f"DROP OWNED BY {user}")
        admin.execute(f"DROP ROLE {user}")


def test_migrations_run_from_anywhere(tmp_path: Path):
    code = "import sys; from isocenter.migrations import upgrade; upgrade(sys.argv[1])"
    subprocess.run(
        [sys.executable, "-c", code, f"sqlite:///{tmp_path / 'index.db'}"],
        check=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
    )
