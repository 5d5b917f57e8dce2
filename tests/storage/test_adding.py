"""Many instances in one transaction, and databases that do not let us begin one."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from isocenter.migrations import upgrade
from storage.errors import StorageDown
from storage.header import Header, read_header
from storage.instances import InstanceKey, Origin, StoredInstance
from storage.places import Place
from storage.spool import Spool
from storage.sql.engine import connect, writing
from storage.sql.index import Added, Entry, Known, SqlIndex
from storage.sql.packing import unpack
from tests.storage.builders import STUDY, part10, spooled

ORIGIN = Origin("dimse", "MODALITY", "192.0.2.1")


@pytest.fixture
def header(spool: Spool) -> Header:
    with spooled(spool, part10()) as file:
        file.close()
        return read_header(file.path)


def entry(header: Header, number: int) -> Entry:
    """One of many; there are three series, and every sixth has a SOP class of its own."""
    key = InstanceKey(STUDY, f"1.3.{number % 3}", f"1.4.{number}")
    sop_class = "1.2.840.10008.5.1.4.1.1.7" if number % 6 == 0 else header.sop_class
    instance = StoredInstance(key, sop_class, header.transfer_syntax, number, header.digest, Place(key).blob)
    mine = replace(header, key=key, sop_class=sop_class, json=b'{"number":%d}' % number)
    return Entry(mine, replace(instance, stored_at=datetime.now(UTC)), ORIGIN, "delivery")


@pytest.mark.parametrize("count", [1, 7, 64, 200])
def test_group_of_any_size_goes_in_whole(engine: Engine, header: Header, count: int):
    index = SqlIndex(engine)
    assert index.add([entry(header, n) for n in range(count)]) == [Added()] * count
    found = index.instances(STUDY, None, None)
    assert {(each.key.sop, each.size) for each in found} == {(f"1.4.{n}", n) for n in range(count)}
    packed = index.headers(found)
    assert {unpack(json) for json in packed.values()} == {b'{"number":%d}' % n for n in range(count)}
    assert [(e.kind, e.sop) for e in index.events(None, 1000)] == [
        ("instance.stored", f"1.4.{n}") for n in range(count)
    ]


def test_known_ones_among_new_ones_change_nothing(engine: Engine, header: Header):
    index = SqlIndex(engine)
    index.add([entry(header, n) for n in range(0, 90, 2)])
    results = index.add([entry(header, n) for n in range(90)])
    assert [type(result) for result in results] == [Known, Added] * 45
    assert len(index.instances(STUDY, None, None)) == len(index.events(None, 1000)) == 90
    assert index.counts() == {"study": 1, "series": 3, "instance": 90}


def test_series_that_was_deleted_is_made_again(engine: Engine, header: Header):
    index = SqlIndex(engine)
    for number in (3, 6):
        index.add([entry(header, number)])
        index.remove(STUDY, None, None, ORIGIN)
    index.add([entry(header, 9)])
    assert [each.key.sop for each in index.instances(STUDY, "1.3.0", None)] == ["1.4.9"]
    assert index.counts() == {"study": 1, "series": 1, "instance": 1}


def test_connection_that_the_server_closes_meanwhile_costs_no_instance(postgres_url: str, header: Header):
    engine = connect(postgres_url)
    upgrade(engine)
    index = SqlIndex(engine)
    assert index.add([entry(header, 1)]) == [Added()]
    with engine.connect() as other:
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        other.execute(text(f"{others} AND datname = current_database()"))
    assert index.add([entry(header, 2)]) == [Added()]
    engine.dispose()


def test_database_that_others_hold_too_long_is_down(tmp_path: Path):
    engine = connect(f"sqlite:///{tmp_path / 'index.db'}")
    upgrade(engine)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout=0")
    with closing(sqlite3.connect(tmp_path / "index.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageDown, match="locked"), writing(engine):
            pass
    with writing(engine) as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM events").scalar() == 0
    engine.dispose()
