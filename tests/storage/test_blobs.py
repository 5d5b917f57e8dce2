"""Every blob store keeps the same promises."""

import gc
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from storage.blobs.disk import DiskBlobs
from storage.blobs.s3 import S3Blobs
from storage.errors import UnknownInstance
from storage.memory import MemoryBlobs
from tests.storage.blob_stores import MB, NAME, client_of, read

NOT_NAMES = [
    "",
    "/",
    "/etc/x",
    "a//b",
    "a/",
    "..",
    "../x",
    "a/../../x",
    ".incoming/x",
    "a\\b",
    "a\nb",
    "ü",
    "a\0",
]
NOT_NAMES += ["a" * 300, "/".join(["a" * 200] * 6), "a/ b"]


@pytest.fixture(params=["memory", "disk", "s3", "s3-parts"])
def blobs(request, tmp_path):
    if request.param == "memory":
        return MemoryBlobs()
    if request.param == "disk":
        return DiskBlobs(tmp_path / "blobs")
    s3 = request.getfixturevalue("s3")
    largest = {} if request.param == "s3" else {"largest_put": 5 * MB}
    return S3Blobs(client_of(s3), s3["bucket"], **largest)


@pytest.mark.parametrize("size", [0, 1, MB, 12 * MB + 1])
def test_what_goes_in_comes_out(blobs, file, size):
    data = os.urandom(size)
    assert blobs.put_if_absent(NAME, file(data)) is True
    assert read(blobs, NAME) == data
    with blobs.open(NAME) as reader:
        assert reader.read() == data
    found = blobs.stat(NAME)
    assert (found.name, found.size) == (NAME, size)
    assert found.modified > 1_700_000_000


@pytest.mark.parametrize("size", [5, 6 * MB])
def test_name_that_is_taken_is_left_alone(blobs, file, size):
    assert blobs.put_if_absent(NAME, file(b"1" * size)) is True
    assert blobs.put_if_absent(NAME, file(b"2" * size)) is False
    assert blobs.put_if_absent(NAME, file(b"1" * size)) is False
    assert read(blobs, NAME) == b"1" * size


def test_of_many_writers_of_one_name_one_wins(blobs, file):
    sources = [file(b"%d" % n) for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda source: blobs.put_if_absent(NAME, source), sources))
    assert won.count(True) == 1
    assert read(blobs, NAME) == b"%d" % won.index(True)


def test_removing_the_source_keeps_the_blob(blobs, file):
    source = file(b"abc")
    blobs.put_if_absent(NAME, source)
    source.unlink()
    assert read(blobs, NAME) == b"abc"


def test_ranges(blobs, file):
    blobs.put_if_absent(NAME, file(b"0123456789"))
    assert blobs.read_range(NAME, 3, 4) == b"3456"
    assert blobs.read_range(NAME, 8, 100) == b"89"
    assert blobs.read_range(NAME, 10, 1) == b""
    assert blobs.read_range(NAME, 100, 1) == b""
    assert blobs.read_range(NAME, 3, 0) == b""
    assert b"".join(blobs.stream(NAME, 7)) == b"789"
    assert b"".join(blobs.stream(NAME, 2, 3)) == b"234"
    assert b"".join(blobs.stream(NAME, 2, 0)) == b""
    assert b"".join(blobs.stream(NAME, 10)) == b""


def test_chunks_are_at_most_a_mebibyte(blobs, file):
    blobs.put_if_absent(NAME, file(bytes(2 * MB + 5)))
    sizes = [len(chunk) for chunk in blobs.stream(NAME, 1)]
    assert (max(sizes), sum(sizes)) == (MB, 2 * MB + 4)


def test_reader_seeks(blobs, file):
    data = os.urandom(300_000)
    blobs.put_if_absent(NAME, file(data))
    with blobs.open(NAME) as reader:
        assert reader.seek(-10, os.SEEK_END) == len(data) - 10
        assert reader.read() == data[-10:]
        assert reader.read(1) == b""
        reader.seek(200_000)
        assert reader.read(5) == data[200_000:200_005]
        reader.seek(-3, os.SEEK_CUR)
        assert reader.read(150_000) == data[200_002:]
        assert reader.tell() == len(data)


def test_missing_blob_is_reported_at_once(blobs):
    for ask in (
        blobs.open,
        blobs.stream,
        lambda name: blobs.stream(name, 0, 0),
        lambda name: blobs.read_range(name, 0, 1),
        lambda name: blobs.read_range(name, 0, 0),
    ):
        with pytest.raises(UnknownInstance, match=r"1\.2\.3\.4\.dcm"):
            ask(NAME)
    assert blobs.stat(NAME) is None


def test_folder_is_not_a_blob(blobs, file):
    blobs.put_if_absent("a/b", file(b"1"))
    assert blobs.stat("a") is None
    with pytest.raises(UnknownInstance):
        blobs.open("a")


def test_delete_twice_is_harmless(blobs, file):
    blobs.put_if_absent(NAME, file(b"1"))
    blobs.delete(NAME)
    blobs.delete(NAME)
    assert blobs.stat(NAME) is None
    assert blobs.put_if_absent(NAME, file(b"2")) is True


def test_list_is_in_order_of_names_and_by_any_prefix(blobs, file):
    names = ["a.b", "a/b", "a/b.c", "a/b/c", "ab", "b/1.10", "b/1.2"]
    for name in reversed(names):
        if name != "a/b":
            blobs.put_if_absent(name, file(name.encode()))
    names.remove("a/b")
    assert [found.name for found in blobs.list()] == names
    assert [(f.name, f.size) for f in blobs.list("a/b")] == [("a/b.c", 5), ("a/b/c", 5)]
    assert [found.name for found in blobs.list("b/1.1")] == ["b/1.10"]
    assert list(blobs.list("c")) == []


@pytest.mark.parametrize("name", NOT_NAMES)
def test_name_that_could_leave_the_root_is_refused(blobs, file, name):
    for ask in (blobs.open, blobs.stat, blobs.stream, blobs.delete, lambda n: blobs.read_range(n, 0, 1)):
        with pytest.raises(ValueError, match="not the name of a blob"):
            ask(name)
    with pytest.raises(ValueError, match="not the name of a blob"):
        blobs.put_if_absent(name, file(b""))


def test_healthy_store_says_nothing_and_keeps_nothing(blobs):
    blobs.health()
    assert list(blobs.list()) == []


def test_stream_given_up_early_leaks_nothing(blobs, file):
    blobs.put_if_absent(NAME, file(bytes(3 * MB)))
    blobs.stream(NAME)
    next(iter(blobs.stream(NAME)))
    gc.collect()
    assert read(blobs, NAME) == bytes(3 * MB)
