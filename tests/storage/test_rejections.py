"""What a rejection note takes out of use is neither found nor given, until the note is deleted."""

import pytest

from storage.archive import Archive
from storage.errors import UnknownInstance
from storage.reindex import reindex
from storage.search import Level, Query
from storage.sql.index import SqlIndex
from tests.storage.builders import NOTE, SERIES, STUDY, rejection_note
from tests.storage.conftest import Stored

OTHER_SERIES = f"{SERIES}.2"
A, B, C = "1.5.1", "1.5.2", "1.5.3"


@pytest.fixture
def study(stored: Stored) -> Stored:
    """Two images in one series, one in another."""
    for sop, series, modality in ((A, SERIES, "CT"), (B, SERIES, "CT"), (C, OTHER_SERIES, "PT")):
        stored.ingest(SOPInstanceUID=sop, SeriesInstanceUID=series, Modality=modality)
    return stored


def found(archive: Archive, level: Level, tag: str, *, rejected: bool = False) -> list[object]:
    page = archive.search(Query(level, rejected=rejected, include=(tag,)))
    return [each[tag].get("Value", [None])[0] for each in page.answers]


def given(archive: Archive) -> set[str]:
    try:
        return {each.key.sop for each in archive.instances(STUDY)}
    except UnknownInstance:
        return set()


@pytest.mark.parametrize("code", ["113001", "113037", "113038", "113039"])
def test_rejected_instance_and_its_note_are_out_of_sight(study: Stored, code: str):
    before = study.archive.contents(STUDY)
    study.ingest_bytes(rejection_note(A, code=code))
    archive = study.archive
    assert set(found(archive, "instance", "00080018")) == given(archive) == {B, C}
    assert set(found(archive, "series", "0020000E")) == {SERIES, OTHER_SERIES}
    assert sorted(found(archive, "series", "00201209")) == [1, 1]
    assert found(archive, "study", "00201208") == [2]
    assert found(archive, "study", "00201206") == [2]
    assert archive.contents(STUDY).instances == 2
    assert archive.contents(STUDY) != before
    assert archive.rejected([A, B, NOTE]) == {A, NOTE}
    with pytest.raises(UnknownInstance):
        archive.instances(STUDY, SERIES, A)


def test_who_asks_for_it_gets_what_is_rejected(study: Stored):
    study.ingest_bytes(rejection_note(A))
    assert set(found(study.archive, "instance", "00080018", rejected=True)) == {A, B, C, NOTE}
    assert found(study.archive, "study", "00201208", rejected=True) == [4]
    assert {each.key.sop for each in study.archive.instances(STUDY, rejected=True)} == {A, B, C, NOTE}


def test_series_and_study_without_anything_left_are_out_of_sight(study: Stored):
    study.ingest_bytes(rejection_note(A, B))
    assert found(study.archive, "series", "0020000E") == [OTHER_SERIES]
    assert found(study.archive, "study", "00080061") == ["PT"]
    study.ingest_bytes(rejection_note(C, SOPInstanceUID=f"{NOTE}.2"))
    assert found(study.archive, "study", "0020000D") == []
    assert given(study.archive) == set()


def test_deleted_note_rejects_nothing(study: Stored):
    study.ingest_bytes(rejection_note(A))
    (note,) = study.index.rejections()
    assert (note.note, note.study, note.code, note.instances) == (NOTE, STUDY, "113001", 1)
    study.archive.delete(STUDY, f"{SERIES}.9", NOTE)
    assert given(study.archive) == {A, B, C}
    assert found(study.archive, "study", "00201208") == [3]
    assert study.index.rejections() == []


def test_instance_that_two_notes_reject_needs_both_deleted(study: Stored):
    study.ingest_bytes(rejection_note(A))
    study.ingest_bytes(rejection_note(A, SOPInstanceUID=f"{NOTE}.2"))
    study.archive.delete(STUDY, f"{SERIES}.9", NOTE)
    assert given(study.archive) == {B, C}


def test_instance_that_comes_after_its_note_or_again_is_out_of_sight(study: Stored):
    study.ingest_bytes(rejection_note("1.5.4", A))
    study.ingest(SOPInstanceUID="1.5.4")
    study.ingest(SOPInstanceUID=A)
    assert given(study.archive) == {B, C}


def test_other_key_objects_reject_nothing(study: Stored):
    study.ingest_bytes(rejection_note(A, code="113000"))
    assert given(study.archive) == {A, B, C, NOTE}


def test_rejected_study_is_deleted_whole(study: Stored):
    study.ingest_bytes(rejection_note(A))
    assert study.archive.delete(STUDY) == 4
    assert study.index.rejections() == []
    assert study.archive.counts()["instance"] == 0


def test_rebuilt_index_knows_what_is_rejected(study: Stored, empty: SqlIndex):
    study.ingest_bytes(rejection_note(A))
    reindex(study.blobs, empty, study.spool)
    assert empty.rejected([A, B, NOTE]) == {A, NOTE}
