"""Pages of long lists: where they go on, and what happens to a search that takes too long."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import Engine, text

from isocenter.migrations import upgrade
from storage.errors import QueryTooBroad
from storage.search import Exact, Level, Match, OneOf, Page, Query, Wildcard
from storage.sql.engine import connect, reading
from storage.sql.index import SqlIndex
from storage.sql.paging import Anchors
from tests.storage.conftest import ORIGIN, Stored
from tests.support.many import add_studies

QUERY = Query("study", limit=2)


def uids(page: Page) -> list[str]:
    return [str(answer["0020000D"]["Value"][0]) for answer in page.answers]


def study(number: int) -> dict[str, str]:
    uid = f"1.2.{number}"
    date = f"2024{number:04}"
    return {
        "StudyInstanceUID": uid,
        "SeriesInstanceUID": f"{uid}.1",
        "SOPInstanceUID": f"{uid}.1.1",
        "StudyDate": date,
    }


@pytest.fixture
def six(stored: Stored) -> Stored:
    stored.ingest_all(*(study(number) for number in range(101, 107)))
    return stored


@pytest.mark.parametrize("modality", [(), (Match("00080061", Exact("CT")),)])
def test_paging_on_repeats_nothing_and_leaves_nothing_out_whatever_comes_and_goes(
    six: Stored, modality: tuple[Match, ...]
):
    query = replace(QUERY, matches=modality)
    assert uids(six.archive.search(query)) == ["1.2.106", "1.2.105"]
    six.ingest(**study(107))
    assert uids(six.archive.search(replace(query, offset=2))) == ["1.2.104", "1.2.103"]
    six.index.remove("1.2.103", None, None, ORIGIN)
    assert uids(six.archive.search(replace(query, offset=4))) == ["1.2.102", "1.2.101"]


def test_who_starts_anew_sees_what_is_new(six: Stored):
    six.archive.search(QUERY)
    six.ingest(**study(107))
    assert uids(six.archive.search(QUERY)) == ["1.2.107", "1.2.106"]
    assert uids(six.archive.search(replace(QUERY, offset=2))) == ["1.2.105", "1.2.104"]


def test_other_queries_have_pages_of_their_own(six: Stored):
    six.archive.search(QUERY)
    some = replace(QUERY, matches=(Match("0020000D", OneOf(("1.2.101", "1.2.102", "1.2.103"))),))
    assert uids(six.archive.search(replace(some, offset=2))) == ["1.2.101"]


@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_an_offset_without_the_pages_before_it_is_counted(six: Stored, engine: Engine, level: Level):
    everything = six.archive.search(Query(level)).texts
    for offset in range(8):
        page = SqlIndex(engine).search(Query(level, limit=3, offset=offset))
        assert page.texts == everything[offset : offset + 3]


def test_ends_of_pages_are_kept_for_a_while_and_not_without_number():
    now = [0.0]
    anchors = Anchors(seconds=60, clock=lambda: now[0])
    anchors.note(QUERY, 2, ("20240101", 7))
    anchors.note(replace(QUERY, limit=5, offset=2), 7, ("20240101", 2))
    assert anchors.nearest(QUERY, 1) == (0, None)
    assert anchors.nearest(QUERY, 6) == (2, ("20240101", 7))
    assert anchors.nearest(QUERY, 7) == (7, ("20240101", 2))
    now[0] = 60
    assert anchors.nearest(QUERY, 7) == (0, None)
    for number in range(1000):
        anchors.note(replace(QUERY, study=f"1.{number}"), 2, ("", number))
        anchors.note(QUERY, number, ("", number))
    assert anchors.nearest(replace(QUERY, study="1.0"), 2) == (0, None)
    assert anchors.nearest(QUERY, 900) == (0, None)
    assert anchors.nearest(QUERY, 999) == (999, ("", 999))


@contextmanager
def slow(engine: Engine) -> Iterator[None]:
    """While this lasts, a search takes its time."""
    if engine.dialect.name == "sqlite":
        add_studies(engine, 2000)
        yield
    else:
        with engine.connect() as connection, connection.begin():
            connection.execute(text("LOCK TABLE studies IN ACCESS EXCLUSIVE MODE"))
            yield


def test_a_search_that_takes_too_long_is_stopped_and_hinders_no_other(engine: Engine):
    upgrade(engine)
    broad = Query("study", (Match("00100010", Wildcard("*qq*")),))
    with slow(engine), pytest.raises(QueryTooBroad, match="narrow it"):
        SqlIndex(engine, search_seconds=0.000_001).search(broad)
    assert SqlIndex(engine).search(broad).texts == ()


def test_only_searches_are_stopped(postgres_url: str):
    engine = connect(postgres_url)
    upgrade(engine)
    SqlIndex(engine, search_seconds=5).search(QUERY)
    with reading(engine) as connection:
        assert connection.execute(text("SHOW statement_timeout")).scalar_one() == "0"
    engine.dispose()
