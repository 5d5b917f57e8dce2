"""Blobs in a folder: links, flushes, folders that come and go."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from storage.blobs.disk import DiskBlobs
from storage.errors import StorageDown
from tests.storage.blob_stores import NAME, read


def test_disk_links_the_source_in_place_of_copying(tmp_path, file):
    source = file(b"abc")
    DiskBlobs(tmp_path / "blobs").put_if_absent(NAME, source)
    assert (tmp_path / "blobs" / NAME).stat().st_ino == source.stat().st_ino


def test_disk_flushes_the_folder_before_it_says_that_a_name_is_taken(tmp_path, file, monkeypatch):
    blobs = DiskBlobs(tmp_path / "blobs")
    assert blobs.put_if_absent(NAME, file(b"1")) is True
    flushed = []
    fsync = os.fsync

    def noted(fd: int) -> None:
        flushed.append(Path(f"/proc/self/fd/{fd}").readlink())
        fsync(fd)

    monkeypatch.setattr(os, "fsync", noted)
    assert blobs.put_if_absent(NAME, file(b"2")) is False
    assert flushed[-1] == (tmp_path / "blobs" / NAME).parent


def test_disk_copies_from_another_file_system(tmp_path):
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system")
    source = other / f"isocenter-{os.getpid()}"
    source.write_bytes(b"abc")
    try:
        blobs = DiskBlobs(tmp_path / "blobs")
        assert blobs.put_if_absent(NAME, source) is True
        assert blobs.put_if_absent(NAME, source) is False
    finally:
        source.unlink()
    assert read(blobs, NAME) == b"abc"
    assert list((tmp_path / "blobs" / ".incoming").iterdir()) == []


def test_disk_removes_folders_that_became_empty(tmp_path, file):
    blobs = DiskBlobs(tmp_path / "blobs")
    blobs.put_if_absent(NAME, file(b"1"))
    blobs.delete(NAME)
    assert [p.name for p in (tmp_path / "blobs").iterdir()] == [".incoming"]


def test_disk_that_stores_while_folders_are_removed_loses_nothing(tmp_path, file):
    blobs = DiskBlobs(tmp_path / "blobs")
    source = file(b"1")

    def one(number):
        for turn in range(50):
            name = f"studies/1/{number}.{turn}"
            assert blobs.put_if_absent(name, source)
            assert blobs.read_range(name, 0, 1) == b"1"
            blobs.delete(name)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(4)))


def test_disk_makes_a_folder_again_that_vanishes_while_it_is_made(tmp_path, file, monkeypatch):
    blobs = DiskBlobs(tmp_path / "blobs")
    mkdir, busy = os.mkdir, [tmp_path / "blobs" / "studies"]

    def there_and_gone(path, *args):
        if path in busy:
            busy.remove(path)
            raise FileExistsError(path)
        mkdir(path, *args)

    monkeypatch.setattr(os, "mkdir", there_and_gone)
    assert blobs.put_if_absent(NAME, file(b"1")) is True
    assert not busy


def test_disk_shows_only_what_can_be_a_name(tmp_path):
    blobs = DiskBlobs(tmp_path / "blobs")
    (tmp_path / "blobs" / ".hidden").mkdir()
    (tmp_path / "blobs" / ".hidden" / "x").write_bytes(b"")
    (tmp_path / "blobs" / "ümlaut").write_bytes(b"")
    assert list(blobs.list()) == []


def test_disk_that_vanished_is_down(tmp_path, file):
    blobs = DiskBlobs(tmp_path / "blobs")
    (tmp_path / "blobs" / ".incoming").rmdir()
    (tmp_path / "blobs").rmdir()
    (tmp_path / "blobs").write_bytes(b"in the way")
    with pytest.raises(StorageDown):
        blobs.put_if_absent(NAME, file(b"1"))
    with pytest.raises(StorageDown):
        blobs.health()


def test_source_that_is_gone_is_down_not_unknown(tmp_path):
    with pytest.raises(StorageDown, match="cannot store"):
        DiskBlobs(tmp_path / "blobs").put_if_absent(NAME, tmp_path / "gone")
