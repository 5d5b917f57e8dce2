"""The power fails: of folders and index only what was flushed is left, of the spool all."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from isocenter.migrations import upgrade
from storage import journal
from storage.archive import Archive
from storage.blobs.disk import DiskBlobs
from storage.errors import DuplicateInstance, StorageDown
from storage.instances import Origin
from storage.spool import Spool
from storage.sql.engine import connect
from storage.sql.index import SqlIndex
from storage.sweep import compare
from tests.storage.builders import SERIES, SOP, STUDY, begun, sealed

ORIGIN = Origin("dimse", "SCANNER", "192.0.2.1")


@pytest.fixture(autouse=True)
def nothing_settles_by_itself(monkeypatch):
    monkeypatch.setattr(journal, "_SETTLED_EVERY", 3600.0)


class Life:
    """A process over one folder, until it is switched off."""

    def __init__(self, folder: Path, **options: str) -> None:
        self.folder = folder
        self.engine = connect(f"sqlite:///{folder / 'index.db'}")
        upgrade(self.engine)
        self.blobs = DiskBlobs(folder / "blobs")
        self.index = SqlIndex(self.engine)
        self.archive = Archive(self.blobs, self.index, **options)
        self.spool = Spool(folder / "spool")

    def store(self, **attributes):
        with self.archive.delivery(ORIGIN) as delivery:
            accepted = delivery.ingest(sealed(self.spool, **attributes))
            # Its end is written with a flush, which would take all before it along.
            delivery.break_off()
        return accepted

    def settle(self):
        self.archive._ingest._journal.settle()

    def switch_off(self):
        """The process is gone: its lock is, and nothing is tidied up."""
        self.spool._release()
        self.engine.dispose()

    def stored(self):
        """Each version of each instance: where it is, and its bytes."""
        with self.engine.connect() as connection:
            uids = list(connection.execute(text("SELECT sop_uid FROM instances ORDER BY 1")).scalars())
        versions = [instance for sop in uids for instance in self.archive.versions(sop)]
        return {each.blob: b"".join(self.archive.stream(each)) for each in versions}

    def stop(self):
        self.archive.close()
        self.spool.close()
        self.engine.dispose()


@pytest.fixture
def life(tmp_path):
    """Starts a process: `life()`."""
    lives = []

    def start(folder=tmp_path / "now", **options):
        folder.mkdir(exist_ok=True)
        lives.append(Life(folder, **options))
        return lives[-1]

    yield start
    for each in lives:
        each.stop()


def what_is_flushed(folder: Path, to: Path, *names: str) -> None:
    for path in folder.iterdir():
        if path.name.startswith(names):
            copy = shutil.copytree if path.is_dir() else shutil.copy
            copy(path, to / path.name)


def after_power_failure(folder: Path, flushed: Path, lost: tuple[str, ...]) -> None:
    """What is `lost` becomes again what it was when it was flushed last."""
    for path in list(folder.iterdir()):
        if lost and path.name.startswith(lost):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    what_is_flushed(flushed, folder, *lost)


@pytest.mark.parametrize("lost", [("index.db", "blobs"), ("index.db",), ("blobs",), ()])
def test_everything_acknowledged_is_there_after_a_power_failure(life, tmp_path, lost):
    before = life()
    before.store(SOPInstanceUID="1.2.1")
    before.settle()
    flushed = tmp_path / "flushed"
    flushed.mkdir()
    what_is_flushed(before.folder, flushed, "index.db", "blobs")
    for number in range(2, 8):
        before.store(SOPInstanceUID=f"1.2.{number}", SeriesInstanceUID=f"1.3.{number % 3}", PatientID="P")
    seen = before.archive.events()
    stored = before.stored()
    before.switch_off()
    after_power_failure(before.folder, flushed, lost)

    after = life()
    assert after.archive.recover(after.spool) == (6 if "index.db" in lost else 0)
    assert after.stored() == stored
    assert len(stored) == 7
    difference = compare(after.blobs, after.index, grace=0)
    assert difference == type(difference)((), (), ())
    assert sorted(event.sop for event in after.archive.events()) == sorted(stored_sops(stored))
    if "index.db" in lost:
        missed = after.archive.events(seen[-1].cursor)
        assert len(missed) == 6, (
            "a reader that saw events which were lost sees those that came in their place"
        )
    assert [path.name for path in (after.folder / "spool").iterdir() if path.is_dir()] == [
        after.spool.folder.name
    ]


def stored_sops(stored):
    return [name.rpartition("/")[2].removesuffix(".dcm") for name in stored]


def test_what_was_made_again_is_not_made_again_twice(life):
    before = life()
    before.store()
    before.switch_off()
    (before.folder / "index.db").unlink()
    one = life()
    assert one.archive.recover(one.spool) == 1
    one.switch_off()
    two = life()
    assert two.archive.recover(two.spool) == 0
    assert len(two.stored()) == 1


@pytest.mark.parametrize("damage", ["unsealed", "cut short", "a page of zeros", "longer"])
def test_what_is_not_whole_does_not_appear(life, damage):
    before = life()
    file = begun(before.spool) if damage == "unsealed" else sealed(before.spool)
    file.close()
    size = file.path.stat().st_size
    with file.path.open("r+b") as torn:
        if damage == "cut short":
            torn.truncate(size - 12)
        if damage == "a page of zeros":
            torn.seek(size - 40)
            torn.write(bytes(20))
        if damage == "longer":
            torn.seek(0, 2)
            torn.write(bytes(20))
    file._kept = True
    before.switch_off()
    after = life()
    assert after.archive.recover(after.spool) == 0
    assert after.stored() == {}
    assert not file.path.exists()


def test_what_was_deleted_meanwhile_stays_deleted(life):
    before = life()
    before.store(SOPInstanceUID="1.2.1")
    before.store(SOPInstanceUID="1.2.2")
    before.archive.delete(STUDY, SERIES, "1.2.1")
    before.switch_off()
    after = life()
    assert after.archive.recover(after.spool) == 0
    assert stored_sops(after.stored()) == ["1.2.2"]


def test_what_came_again_after_it_was_deleted_is_there(life):
    before = life()
    before.store()
    before.archive.delete(STUDY)
    again = before.store()
    before.switch_off()
    shutil.rmtree(before.folder / "blobs")
    after = life()
    assert after.archive.recover(after.spool) == 0
    assert list(after.stored()) == [again.instance.blob]


@pytest.mark.parametrize("lost", [("index.db", "blobs"), ("blobs",), ()])
def test_versions_keep_their_order(life, tmp_path, lost):
    empty = tmp_path / "empty"
    empty.mkdir()
    before = life(duplicates="replace")
    before.store(PatientID="first")
    before.store(PatientID="second")
    stored = before.stored()
    before.switch_off()
    after_power_failure(before.folder, empty, lost)
    after = life(duplicates="replace")
    after.archive.recover(after.spool)
    assert after.stored() == stored
    assert len(stored) == 2


def test_what_was_refused_is_not_stored_by_a_crash(life):
    before = life()
    before.store()
    with pytest.raises(DuplicateInstance):
        before.store(PatientID="other")
    stored = before.stored()
    before.switch_off()
    after = life()
    after.archive.recover(after.spool)
    assert after.stored() == stored


def test_bytes_are_flushed_before_anybody_is_told(life, monkeypatch):
    flushed, linked = set(), []
    fdatasync, link = os.fdatasync, os.link

    def flush(fd):
        fdatasync(fd)
        flushed.add(os.fstat(fd).st_ino)

    def name(source, target):
        linked.append(Path(source).stat().st_ino in flushed)
        link(source, target)

    monkeypatch.setattr(os, "fdatasync", flush)
    monkeypatch.setattr(os, "link", name)
    one = life()
    one.store()
    assert linked
    assert all(linked)


def test_kept_files_go_when_folders_and_index_are_flushed(life, monkeypatch):
    one = life()
    one.store()
    (kept,) = one.spool.kept
    assert kept.exists()
    down = True

    def settle():
        if down:
            raise StorageDown("no disk")

    monkeypatch.setattr(one.blobs, "settle", settle)
    with pytest.raises(StorageDown):
        one.settle()
    assert kept.exists()
    one.archive.close()
    one.spool.close()
    assert kept.exists(), "what could not be settled stays for the next start"
    down = False
    one.settle()
    assert not kept.exists()


CHILD = """
import sys
from pathlib import Path
from storage import journal
journal._SETTLED_EVERY = 3600.0
from tests.storage.builders import begun
from tests.storage.test_recover import Life
life = Life(Path(sys.argv[1]))
for number in range(5):
    life.store(SOPInstanceUID=f"1.2.{number}")
half = begun(life.spool, SOPInstanceUID="1.2.9")
print("stored", flush=True)
sys.stdin.read()
"""


def test_another_part_makes_again_what_a_killed_process_left(life, tmp_path):
    folder = tmp_path / "now"
    folder.mkdir()
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout.readline() == "stored\n"
    beside = life()
    assert beside.archive.recover(beside.spool) == 0, "its owner lives"
    child.send_signal(signal.SIGKILL)
    child.communicate()
    (folder / "index.db").unlink()
    after = life()
    assert after.archive.recover(after.spool) == 5
    assert stored_sops(after.stored()) == [f"1.2.{number}" for number in range(5)]


def test_file_that_came_sealed_over_http_is_stored_as_it_is(life):
    one = life()
    data = sealed(one.spool, SOPInstanceUID=SOP).path.read_bytes()
    file = one.spool.new()
    file.write(data)
    with one.archive.delivery(ORIGIN) as delivery:
        instance = delivery.ingest(file).instance
    assert b"".join(one.archive.stream(instance)) == data
    assert not one.spool.kept
