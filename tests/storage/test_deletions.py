"""Deletion that can be taken back: what is gone, what comes back, and what a new index knows of it."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, delete, update

from storage.archive import Archive
from storage.deletions import expire, undelete
from storage.errors import UnknownInstance
from storage.reindex import Reindexed, reindex
from storage.sql.engine import writing
from storage.sql.tables import metadata, removals, tombstones
from storage.sweep import sweep
from tests.storage.builders import SERIES, SOP, STUDY, part10
from tests.storage.conftest import Stored


@pytest.fixture
def archive(stored: Stored):
    archive = Archive(stored.blobs, stored.index, undo=timedelta(hours=1))
    yield archive
    archive.close()


def names(stored: Stored, prefix: str = "studies/") -> list[str]:
    return [each.name for each in stored.blobs.list(prefix)]


def forget_all(engine: Engine) -> None:
    with writing(engine) as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(delete(table))


def let_time_pass(engine: Engine) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    with writing(engine) as connection:
        connection.execute(update(tombstones).values(due_at=past))
        connection.execute(update(removals).where(removals.c.due_at.is_not(None)).values(due_at=past))


def test_what_is_deleted_is_gone_and_its_bytes_wait(stored: Stored, archive: Archive):
    stored.ingest()
    archive.delete(STUDY, SERIES, SOP)
    with pytest.raises(UnknownInstance):
        archive.instance(SOP)
    expire(stored.blobs, stored.index)
    assert len(names(stored)) == 1
    (tombstone,) = stored.index.tombstones()
    assert (tombstone.study, tombstone.sop, tombstone.instances) == (STUDY, SOP, 1)
    assert names(stored, "tombstones/") == [tombstone.blob]


def test_it_comes_back_with_all_versions(stored: Stored):
    archive = Archive(stored.blobs, stored.index, duplicates="replace", undo=timedelta(hours=1))
    for patient in "ab":
        stored.ingest_bytes(part10(PatientID=patient), archive)
    before = archive.versions(SOP)
    archive.delete(STUDY)
    report = undelete(stored.blobs, stored.index, stored.spool, stored.index.tombstones()[0].id)
    assert (report.added, report.failed) == (2, ())
    assert [(each.version, each.digest) for each in archive.versions(SOP)] == [
        (each.version, each.digest) for each in before
    ]
    assert (stored.index.tombstones(), names(stored, "tombstones/")) == ([], [])
    archive.delete(STUDY)
    archive.close()


def test_when_the_time_is_over_the_bytes_go_and_nothing_comes_back(
    stored: Stored, archive: Archive, engine: Engine
):
    stored.ingest()
    archive.delete(STUDY)
    (tombstone,) = stored.index.tombstones()
    let_time_pass(engine)
    with pytest.raises(UnknownInstance):
        undelete(stored.blobs, stored.index, stored.spool, tombstone.id)
    expire(stored.blobs, stored.index)
    assert names(stored, "") == []
    assert stored.index.tombstones() == []


def test_a_sweep_does_not_bring_it_back(stored: Stored, archive: Archive):
    stored.ingest()
    archive.delete(STUDY)
    swept = sweep(stored.blobs, stored.index, stored.spool, grace=0)
    assert (swept.removed, swept.adopted) == (0, Reindexed())
    with pytest.raises(UnknownInstance):
        archive.instance(SOP)


def test_a_new_index_does_not_bring_it_back_and_still_can(stored: Stored, archive: Archive, engine: Engine):
    stored.ingest()
    stored.ingest(SOPInstanceUID="1.9")
    archive.delete(STUDY, SERIES, SOP)
    (before,) = stored.index.tombstones()
    forget_all(engine)
    report = reindex(stored.blobs, stored.index, stored.spool)
    assert (report.added, report.deleted, report.failed) == (1, 1, ())
    assert stored.index.tombstones() == [before]
    assert reindex(stored.blobs, stored.index, stored.spool).deleted == 1
    undelete(stored.blobs, stored.index, stored.spool, before.id)
    assert archive.instance(SOP).key.sop == SOP


def test_a_deletion_that_broke_off_is_finished_later(stored: Stored, archive: Archive, monkeypatch):
    stored.ingest()
    with monkeypatch.context() as patched:
        patched.setattr("storage.deletions.write_tombstones", lambda *_: None)
        archive.delete(STUDY)
    assert names(stored, "tombstones/") == []
    expire(stored.blobs, stored.index)
    assert len(names(stored, "tombstones/")) == 1


def test_what_is_stored_again_meanwhile_stays_when_the_old_goes(
    stored: Stored, archive: Archive, engine: Engine
):
    stored.ingest()
    archive.delete(STUDY)
    again = stored.ingest().instance
    let_time_pass(engine)
    expire(stored.blobs, stored.index)
    assert names(stored) == [again.blob]
    assert b"".join(archive.stream(archive.instance(SOP))) == part10()


def test_what_is_stored_again_meanwhile_stays_when_the_old_comes_back(stored: Stored, archive: Archive):
    stored.ingest()
    archive.delete(STUDY)
    again = stored.ingest(PatientID="other").instance
    undelete(stored.blobs, stored.index, stored.spool, stored.index.tombstones()[0].id)
    assert archive.instance(SOP).digest == again.digest
    assert [each.version for each in archive.versions(SOP)] == [1, 2]


def test_a_deletion_that_nobody_knows_is_named(stored: Stored):
    with pytest.raises(UnknownInstance, match="no deletion abc"):
        undelete(stored.blobs, stored.index, stored.spool, "abc")
