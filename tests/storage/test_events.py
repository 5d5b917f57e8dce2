"""Events are written with the rows, and no reader misses one."""

import threading

import pytest
from sqlalchemy import Engine

from isocenter.migrations import upgrade
from storage.errors import InvalidQuery
from storage.events import Event
from storage.instances import Origin
from storage.sql import events
from storage.sql.engine import connect, writing
from storage.sql.index import SqlIndex
from tests.storage.builders import SERIES, SOP, STUDY, part10, spooled
from tests.storage.conftest import ORIGIN, Stored


def test_delivery_tells_what_it_stored_and_when_it_ended(stored: Stored):
    origin = Origin("dimse", "SCANNER", "10.0.0.1")
    with stored.archive.delivery(origin) as delivery:
        for sop, series in [(SOP, SERIES), ("1.2.3", SERIES), ("1.2.4", "1.7")]:
            delivery.ingest(spooled(stored.spool, part10(SOPInstanceUID=sop, SeriesInstanceUID=series)))
        assert [event.kind for event in stored.archive.events()] == ["instance.stored"] * 3
    found = stored.archive.events()
    assert [(event.kind, event.series, event.sop) for event in found] == [
        ("instance.stored", SERIES, SOP),
        ("instance.stored", SERIES, "1.2.3"),
        ("instance.stored", "1.7", "1.2.4"),
        ("delivery.ended", SERIES, None),
        ("delivery.ended", "1.7", None),
    ]
    assert {(event.study, event.delivery, event.origin) for event in found} == {(STUDY, delivery.id, origin)}
    assert found[0].at.tzinfo is not None
    assert found[0].at <= found[-1].at


def test_delivery_that_fails_still_ends(stored: Stored):
    def fail_after_one() -> None:
        with stored.archive.delivery(ORIGIN) as delivery:
            delivery.ingest(spooled(stored.spool, part10()))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_after_one()
    assert [event.kind for event in stored.archive.events()] == ["instance.stored", "delivery.ended"]


def test_delivery_of_nothing_says_nothing(stored: Stored):
    with stored.archive.delivery(ORIGIN):
        pass
    assert stored.archive.events() == []


def test_cursor_goes_on_where_it_stopped(stored: Stored):
    for number in range(5):
        stored.ingest(SOPInstanceUID=f"1.2.{number}")
    everything = stored.archive.events()
    read: list[Event] = []
    while some := stored.archive.events(read[-1].cursor if read else None, limit=3):
        read += some
    assert read == everything
    assert len(everything) == 10


def test_what_is_no_cursor_is_refused(stored: Stored):
    for cursor in ("", "7", "a.b", "1.2.3", "1" * 30 + ".1"):
        with pytest.raises(InvalidQuery):
            stored.archive.events(cursor)


def write(connection, sop: str) -> None:
    events.write(connection, [events.values("instance.stored", (STUDY, SERIES, sop), None, ORIGIN)])


def read_all(index: SqlIndex, seen: list[Event]) -> list[str | None]:
    some = index.events(seen[-1].cursor if seen else None, 100)
    seen += some
    return [event.sop for event in some]


def test_reader_misses_no_transaction_that_commits_late(postgres_url: str):
    """Two overlapping transactions; the one that began first, with lower numbers, commits last."""
    upgrade(postgres_url)
    engine = connect(postgres_url)
    index = SqlIndex(engine)
    other = connect(engine.url.render_as_string(hide_password=False))
    seen: list[Event] = []
    with writing(engine) as early:
        write(early, "1.1")
        with writing(other) as late:
            write(late, "1.2")
        assert read_all(index, seen) == []
    assert read_all(index, seen) == ["1.1", "1.2"]
    with writing(engine) as early, writing(other) as late:
        write(late, "1.3")
        write(early, "1.4")
        write(late, "1.5")
    assert read_all(index, seen) == ["1.3", "1.5", "1.4"]
    assert read_all(index, seen) == []
    other.dispose()
    engine.dispose()


def test_reader_sees_each_event_once_while_many_write(engine: Engine):
    index = SqlIndex(engine)
    seen: list[Event] = []

    def write_some(writer: int) -> None:
        for number in range(20):
            with writing(engine) as connection:
                write(connection, f"1.{writer}.{number}")

    writers = [threading.Thread(target=write_some, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        read_all(index, seen)
    read_all(index, seen)
    assert sorted(event.sop or "" for event in seen) == sorted(
        f"1.{w}.{n}" for w in range(4) for n in range(20)
    )


def test_failed_transaction_leaves_no_event(engine: Engine):
    def fail_after_one() -> None:
        with writing(engine) as connection:
            write(connection, "1.1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_after_one()
    assert SqlIndex(engine).events(None, 10) == []
