"""Searches by shared statements find what their own statements find."""

import pytest

from storage.errors import InvalidQuery
from storage.search import BY_KEYWORD, Exact, Match, OneOf, Query, Range, Wildcard
from storage.sql import search
from storage.sql.engine import reading
from storage.sql.plans import Plans

DATES = Range("20240101", "20240131")
SHARED = [
    Query("study"),
    Query("study", (Match("00100020", Exact("P1")),)),
    Query("study", (Match("00080020", DATES),)),
    Query("study", (Match("00080061", Exact("CT")), Match("00080020", DATES))),
    Query("study", (Match("00080018", Exact("1.2.1.1")),)),
    Query("series", study="1.2"),
    Query("series", (Match("00080060", Exact("CT")),), study="1.2"),
    Query("instance", study="1.2", series="1.2.1"),
    Query("instance", (Match("00080050", Exact("A'1")),)),
]
OWN = [
    Query("study", (Match("00100010", Exact("Doe^Jane")),)),
    Query("study", (Match("00081030", Exact("Thorax")),)),
    Query("study", (Match("00080030", Exact("0930")),)),
    Query("study", (Match("00080030", Range("09", "10")),)),
    Query("instance", (Match("00200013", Exact("1")),)),
    Query("study", (Match("00100020", Wildcard("P*")),)),
    Query("study", (Match("00100020", OneOf(("P1", "P2"))),)),
    Query("study", (Match("00080020", Range("20240101", None)),)),
    Query("study", offset=1),
    Query("study", behind="1.2"),
    Query("study", (Match("00100020", Exact("P1")),), fuzzy=True),
]


def plans() -> Plans:
    return Plans(search._selected)


@pytest.fixture
def filled(stored):
    stored.ingest(
        StudyInstanceUID="1.2",
        SeriesInstanceUID="1.2.1",
        SOPInstanceUID="1.2.1.1",
        PatientID="P1",
        AccessionNumber="A'1",
        StudyDate="20240105",
    )
    stored.ingest(
        StudyInstanceUID="1.2", SeriesInstanceUID="1.2.1", SOPInstanceUID="1.2.1.2", InstanceNumber=2
    )
    stored.ingest(StudyInstanceUID="1.3", SeriesInstanceUID="1.3.1", SOPInstanceUID="1.3.1.1", PatientID="P2")
    return stored


@pytest.mark.parametrize("hides", [False, True])
@pytest.mark.parametrize("query", SHARED, ids=str)
def test_a_shared_statement_gives_the_rows_of_the_own(filled, engine, query, hides):
    with reading(engine) as connection:
        shared = plans().rows(connection, query, 10, hides=hides)
        own = search._found(connection, search._selected(connection, query, hides)[0].limit(10))
    assert shared is not None
    assert len(own)
    assert (shared._names, [*map(tuple, shared._rows)]) == (own._names, [*map(tuple, own._rows)])


@pytest.mark.parametrize("query", OWN, ids=str)
def test_what_is_compared_in_another_form_has_a_statement_of_its_own(engine, query):
    with reading(engine) as connection:
        assert plans().rows(connection, query, 10, hides=False) is None


def test_one_statement_serves_all_values_and_limits(filled, engine):
    shared = plans()
    with reading(engine) as connection:
        found = [
            len(
                shared.rows(
                    connection, Query("study", (Match("00100020", Exact(patient)),)), limit, hides=False
                )
            )
            for patient, limit in (("P1", 9), ("P2", 1), ("P1", 0), ("nobody", 9), ("' OR 1=1 --", 9))
        ]
    assert found == [1, 1, 0, 0, 0]
    assert len(shared._plans) == 1


def test_a_value_that_no_attribute_has_is_refused(engine):
    query = Query("study", (Match(BY_KEYWORD["PatientID"].tag, Exact("x" * 2000)),))
    with reading(engine) as connection, pytest.raises(InvalidQuery, match="no PatientID is that long"):
        plans().rows(connection, query, 10, hides=False)


def test_plans_do_not_grow_without_end(engine, monkeypatch):
    monkeypatch.setattr("storage.sql.plans._MOST", 2)
    shared = plans()
    with reading(engine) as connection:
        for query in SHARED:
            shared.rows(connection, query, 1, hides=False)
    assert len(shared._plans) <= 2
