"""How searches are carried out: which index answers, so that the time does not grow with the archive."""

from typing import Any

import pytest
from sqlalchemy import Engine, text

from isocenter.migrations import upgrade
from storage.search import BY_KEYWORD, Exact, Level, Match, OneOf, Query, Range, Wildcard
from storage.sql import search
from storage.sql.engine import connect, reading
from storage.sql.packing import pack, unpack


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory):
    engine = connect(f"sqlite:///{tmp_path_factory.mktemp('plans') / 'index.db'}")
    upgrade(engine)
    yield engine
    engine.dispose()


def plan(engine: Engine, level: Level, **matches: Any) -> list[str]:
    query = Query(level, tuple(Match(BY_KEYWORD[keyword].tag, value) for keyword, value in matches.items()))
    with reading(engine) as connection:
        selected, _ = search._selected(connection, query, hides=False)
        statement = selected.limit(25)
        compiled = statement.compile(engine, compile_kwargs={"literal_binds": True})
        rows = connection.execute(text(f"EXPLAIN QUERY PLAN {str(compiled).replace(':', chr(92) + ':')}"))
        return [row[-1] for row in rows]


@pytest.mark.parametrize(
    ("matches", "first"),
    [
        ({}, "SCAN studies USING INDEX ix_studies_newest"),
        ({"StudyDate": Range("20240101", "20240131")}, "SEARCH studies USING INDEX ix_studies_newest"),
        ({"PatientID": Exact("P1")}, "SEARCH studies USING INDEX ix_studies_patient"),
        ({"AccessionNumber": Wildcard("A1*")}, "SEARCH studies USING INDEX ix_studies_accession"),
        (
            {"StudyInstanceUID": OneOf(("1.2", "1.3"))},
            "SEARCH studies USING INDEX sqlite_autoindex_studies_1",
        ),
        ({"ModalitiesInStudy": Exact("CT")}, "SEARCH study_modality USING PRIMARY KEY"),
        ({"Modality": Exact("CT")}, "SCAN studies USING INDEX ix_studies_newest"),
    ],
)
def test_studies_are_found_by_an_index(sqlite: Engine, matches: Any, first: str):
    steps = plan(sqlite, "study", **matches)
    assert steps[0].startswith(first)
    assert not any(step.startswith("SCAN series") for step in steps)


def test_few_candidates_are_looked_up_by_their_letters(sqlite: Engine):
    for pattern in ("*mit*", "smi*"):
        steps = plan(sqlite, "study", PatientName=Wildcard(pattern))
        assert steps[0].startswith("SEARCH studies USING INTEGER PRIMARY KEY")


def test_name_within_a_date_range_walks_the_dates(sqlite: Engine):
    steps = plan(sqlite, "study", PatientName=Wildcard("*mit*"), StudyDate=Range("20240101", "20240131"))
    assert steps == ["SEARCH studies USING INDEX ix_studies_newest (study_date>? AND study_date<?)"]


@pytest.mark.parametrize("level", ["series", "instance"])
def test_broad_search_walks_studies_and_stops(sqlite: Engine, level: Level):
    steps = plan(sqlite, level, Modality=Exact("CT"))
    assert steps[0] == "SCAN studies USING INDEX ix_studies_newest"
    assert steps[1].startswith("SEARCH series USING INDEX ix_series_study_id")


def test_instance_is_found_by_its_uid_at_every_level(sqlite: Engine):
    levels: list[Level] = ["study", "series", "instance"]
    for level in levels:
        steps = plan(sqlite, level, SOPInstanceUID=Exact("1.2"))
        assert any(step.startswith("SEARCH instances USING") and "sop_uid=?" in step for step in steps)
        assert not any(step.startswith("SCAN") for step in steps)


def test_packed_bytes_come_back_and_unknown_ones_are_refused():
    data = b'{"00080060":{"vr":"CS","Value":["CT"]}}' * 50
    assert unpack(pack(data)) == data
    assert len(pack(data)) < len(data) / 5
    assert unpack(pack(b"")) == b""
    with pytest.raises(ValueError, match="older than the index"):
        unpack(b"\xff" + pack(data))
