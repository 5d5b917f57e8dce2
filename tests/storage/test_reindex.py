"""The objects are the truth: an index made from blobs alone, and what a sweep finds and mends."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, delete, select, update

from storage.archive import Archive
from storage.errors import DuplicateInstance
from storage.instances import Accepted, InstanceKey
from storage.memory import MemoryBlobs
from storage.places import Place, place_of
from storage.reindex import Reindexed, reindex
from storage.search import LEVELS, Query
from storage.spool import Spool
from storage.sql.engine import writing
from storage.sql.index import SqlIndex
from storage.sql.tables import headers, instances, metadata, removals
from storage.sweep import sweep
from tests.storage.builders import SERIES, SOP, STUDY, part10, spooled
from tests.storage.conftest import ORIGIN, Stored

FORGOTTEN = {"stored_at", "first_at", "last_at", "asked_at", "removed_at", "at"}
"""What only the index knew."""
KEYS = {"id", "study_id", "series_id", "instance_id"}


def everything(engine: Engine) -> dict[str, list[Any]]:
    """All rows but events, without times and our own keys."""
    found = {}
    with engine.connect() as connection:
        for table in metadata.sorted_tables:
            columns = [c for c in table.c if c.name not in FORGOTTEN | KEYS]
            if table.name not in {"events", "removals"}:
                found[table.name] = sorted(map(repr, connection.execute(select(*columns))))
    return found


def test_rebuilt_index_equals_the_one_before(stored: Stored, engine: Engine, empty: SqlIndex):
    replacing = Archive(stored.blobs, stored.index, duplicates="replace")
    for version in range(12):
        stored.ingest_bytes(part10(PatientID=f"{version}"), replacing)
    stored.ingest(SOPInstanceUID="1.2.3", InstanceNumber=2)
    stored.ingest(StudyInstanceUID="1.9", SeriesInstanceUID="1.9.1", SOPInstanceUID="1.9.1.1", Modality="MR")
    with pytest.raises(DuplicateInstance):
        stored.ingest(SOPInstanceUID="1.2.3", InstanceNumber=3)
    before = everything(engine)
    report = reindex(stored.blobs, empty, stored.spool)
    assert report == Reindexed(added=14, quarantined=1)
    after = everything(empty._engine)
    # Nothing is left of the reason for which it was refused, and of who sent it.
    assert before.pop("quarantine") != after.pop("quarantine")
    assert before == after
    assert Archive(stored.blobs, empty).versions(SOP)[10].version == 11
    assert reindex(stored.blobs, empty, stored.spool) == Reindexed(known=15)
    replacing.close()
    empty._engine.dispose()


def test_real_files_are_the_same_after_a_reindex(
    test_data: Path, stored: Stored, engine: Engine, empty: SqlIndex
):
    files = [
        path for kind in ("sr", "sc", "seg", "charset") for path in (test_data / "dicom" / kind).glob("*.dcm")
    ]
    with stored.archive.delivery(ORIGIN) as delivery:
        outcomes = delivery.ingest_many(spooled(stored.spool, path.read_bytes()) for path in files)
    assert sum(isinstance(outcome, Accepted) for outcome in outcomes) > 20
    assert reindex(stored.blobs, empty, stored.spool).failed == ()
    rebuilt = Archive(stored.blobs, empty)
    for level in LEVELS:
        theirs = {repr(answer) for answer in rebuilt.search(Query(level, include=("all",))).answers}
        assert {repr(a) for a in stored.archive.search(Query(level, include=("all",))).answers} == theirs
    rebuilt.close()
    empty._engine.dispose()


def test_progress_is_told(stored: Stored, empty: SqlIndex):
    stored.ingest()
    told: list[Reindexed] = []
    reindex(stored.blobs, empty, stored.spool, told.append)
    assert told[-1] == Reindexed(added=1)
    empty._engine.dispose()


def put(stored: Stored, name: str, data: bytes) -> None:
    with spooled(stored.spool, data) as file:
        file.close()
        assert stored.blobs.put_if_absent(name, file.path)


def test_what_is_no_instance_is_reported_and_left_alone(stored: Stored):
    put(stored, "studies/readme.txt", b"hello")
    put(stored, "studies/1.2/1.3/1.4.dcm", b"not DICOM")
    put(stored, "studies/1.2/1.3/1.5.dcm", part10())
    put(stored, "quarantine/1.2/1.3/1.5.000000000000.dcm", part10())
    report = reindex(stored.blobs, stored.index, stored.spool)
    assert (report.added, report.quarantined) == (0, 0)
    assert [name for name, _ in report.failed] == [
        "studies/1.2/1.3/1.4.dcm",
        "studies/1.2/1.3/1.5.dcm",
        "studies/readme.txt",
        "quarantine/1.2/1.3/1.5.000000000000.dcm",
    ]
    assert len(list(stored.blobs.list())) == 4


def test_reindex_refreshes_headers_that_are_there(stored: Stored, engine: Engine):
    stored.ingest()
    with writing(engine) as connection:
        connection.execute(update(headers).values(layout=b"old"))
        connection.execute(update(instances).values(rows=None))
    assert reindex(stored.blobs, stored.index, stored.spool) == Reindexed(known=1)
    assert stored.archive.frame(stored.archive.instance(SOP), 1) == bytes(range(32))
    assert stored.archive.search(Query("instance")).answers[0]["00280010"]["Value"] == [4]  # type: ignore[index]


def test_sweep_takes_blobs_without_a_row_into_the_index(stored: Stored):
    put(stored, Place(InstanceKey(STUDY, SERIES, SOP)).blob, part10())
    assert sweep(stored.blobs, stored.index, stored.spool, grace=60).adopted == Reindexed()
    swept = sweep(stored.blobs, stored.index, stored.spool, grace=0)
    assert swept.adopted == Reindexed(added=1)
    assert b"".join(stored.archive.stream(stored.archive.instance(SOP))) == part10()
    assert sweep(stored.blobs, stored.index, stored.spool, grace=0).difference.without_row == ()


def test_sweep_reports_rows_without_a_blob(stored: Stored):
    stored.ingest()
    stored.ingest(SOPInstanceUID="1.2.3")
    stored.ingest(StudyInstanceUID="1.9", SeriesInstanceUID="1.9.1", SOPInstanceUID="1.9.1.1")
    lost = [stored.archive.instance(sop).blob for sop in (SOP, "1.9.1.1")]
    for blob in lost:
        stored.blobs.delete(blob)
    put(stored, "studies/1.2/notes", b"?")
    difference = sweep(stored.blobs, stored.index, stored.spool, grace=0).difference
    assert difference.without_blob == tuple(lost)
    assert difference.foreign == ("studies/1.2/notes",)
    assert difference.without_row == ()
    assert stored.archive.instance(SOP)


def test_sweep_finishes_what_a_crash_left_of_a_deletion(stored: Stored):
    stored.ingest()
    stored.index.remove(STUDY, None, None, ORIGIN)
    assert len(list(stored.blobs.list())) == 1
    swept = sweep(stored.blobs, stored.index, stored.spool, grace=0)
    assert (swept.removed, swept.adopted) == (1, Reindexed())
    assert list(stored.blobs.list()) == []


def test_removed_names_are_forgotten_after_a_day(
    stored: Stored, engine: Engine, monkeypatch: pytest.MonkeyPatch
):
    stored.ingest()
    stored.archive.delete(STUDY)
    assert stored.ingest().instance.version == 2
    stored.archive.delete(STUDY)
    with writing(engine) as connection:
        connection.execute(delete(removals))
    assert stored.ingest().instance.version == 1


@pytest.mark.parametrize(
    "name",
    [
        "studies/1.2/1.3/1.4.dcm.bak",
        "studies/1.2/1.3/1.4.v1.dcm",
        "studies/1.2/1.3/1.4.v02.dcm",
        "studies/1.2/1..3/1.4.dcm",
        "studies/1.2/1.4.dcm",
        "other/1.2/1.3/1.4.dcm",
        f"studies/1.2/1.3/{'1' * 65}.dcm",
    ],
)
def test_names_that_are_not_ours_have_no_place(name: str):
    assert place_of(name) is None


def test_names_and_places_belong_together():
    for version in (1, 2, 10, 12345):
        place = Place(InstanceKey("1.2", "1.2.3", "1.2.3.4"), version)
        assert place_of(place.blob) == place


def test_sweep_leaves_alone_what_is_on_its_way(spool: Spool, engine: Engine):
    """An instance whose row is committed between the listing of blobs and the look at the index."""
    blobs = MemoryBlobs()
    stored = Stored(blobs, SqlIndex(engine), spool)
    stored.ingest()
    swept = sweep(blobs, stored.index, spool, grace=0)
    assert (swept.adopted, swept.difference.without_blob) == (Reindexed(), ())
    stored.archive.close()
