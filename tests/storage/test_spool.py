import gc
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from storage.disk import disk_errors
from storage.errors import StorageDown, StorageFull
from storage.spool import Spool


@pytest.fixture
def spool(tmp_path):
    with Spool(tmp_path / "spool") as spool:
        yield spool


def test_what_is_written_is_in_the_file_and_counted(spool):
    file = spool.new()
    file.write(b"abc")
    file.write_all([memoryview(b"de"), b"f"])
    file.close()
    assert (file.path.read_bytes(), file.size) == (b"abcdef", 6)


def test_leaving_the_context_removes_the_file(spool):
    with spool.new() as file:
        file.write(b"abc")
    assert not file.path.exists()


def test_discard_is_harmless_after_the_file_was_moved_away(spool, tmp_path):
    file = spool.new()
    file.path.rename(tmp_path / "moved")
    file.discard()
    file.discard()
    assert (tmp_path / "moved").exists()


def test_forgotten_file_does_not_leak_its_descriptor(spool):
    descriptor = spool.new()._fd
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_disk_without_room_is_named(spool):
    full = spool.new()
    os.dup2(os.open("/dev/full", os.O_WRONLY), full._fd)
    with pytest.raises(StorageFull, match="No space left"):
        full.write(b"abc")


def test_write_that_takes_only_a_part_is_continued(spool):
    reader, writer = os.pipe()
    file = spool.new()
    os.dup2(writer, file._fd)
    os.close(writer)
    parts = [bytes([n]) * 100_000 for n in range(3)]
    drain = subprocess.Popen(["sha256sum"], stdin=reader, stdout=subprocess.PIPE)
    os.close(reader)
    file.write_all(parts)
    file.close()
    assert drain.communicate()[0].split()[0].decode() == hashlib.sha256(b"".join(parts)).hexdigest()


def test_unknown_trouble_is_storage_down():
    with pytest.raises(StorageDown, match="cannot try: Permission denied"), disk_errors("try"):
        raise PermissionError(13, "Permission denied")


def test_leftovers_of_a_dead_process_are_removed_and_those_of_a_living_one_stay(tmp_path):
    code = """
import os, sys
from pathlib import Path
from storage.spool import Spool
file = Spool(Path(sys.argv[1])).new()
file.write(b"half")
print(file.path, flush=True)
sys.stdin.read()
os._exit(1)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    left = Path(process.stdout.readline().strip())
    with Spool(tmp_path):
        assert left.read_bytes() == b"half"
    process.communicate()
    assert left.exists()
    with Spool(tmp_path):
        assert not left.parent.exists()


def test_two_spools_on_one_folder_do_not_disturb_each_other(tmp_path):
    with Spool(tmp_path) as one:
        file = one.new()
        with Spool(tmp_path) as two:
            assert two.folder != one.folder
        file.write(b"still here")
        assert file.path.read_bytes() == b"still here"


def test_closed_spool_leaves_nothing(tmp_path):
    with Spool(tmp_path) as spool:
        spool.new().close()
    spool.close()
    assert [p.name for p in tmp_path.iterdir()] == [".lock"]


def test_spool_in_an_impossible_place_is_storage_down(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageDown, match="cannot open the spool"):
        Spool(tmp_path / "file" / "spool")
