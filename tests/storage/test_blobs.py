import gc
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from minio.error import S3Error

from storage.blobs.disk import DiskBlobs
from storage.blobs.s3 import S3Blobs, _answers, s3_client
from storage.errors import StorageDown, StorageFull, UnknownInstance
from storage.memory import MemoryBlobs

MB = 1 << 20
NAME = "studies/1.2/1.2.3/1.2.3.4.dcm"
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


def client_of(s3, **options):
    return s3_client(s3["endpoint"], s3["access_key"], s3["secret_key"], tls=False, **options)


@pytest.fixture(params=["memory", "disk", "s3", "s3-parts"])
def blobs(request, tmp_path):
    if request.param == "memory":
        return MemoryBlobs()
    if request.param == "disk":
        return DiskBlobs(tmp_path / "blobs")
    s3 = request.getfixturevalue("s3")
    largest = {} if request.param == "s3" else {"largest_put": 5 * MB}
    return S3Blobs(client_of(s3), s3["bucket"], **largest)


@pytest.fixture
def file(tmp_path):
    def make(data: bytes) -> Path:
        path = tmp_path / f"source-{len(list(tmp_path.iterdir()))}"
        path.write_bytes(data)
        return path

    return make


def read(blobs, name):
    return b"".join(blobs.stream(name))


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


# Disk


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


# S3


class LosesAnswers:
    """A real TCP proxy that loses the server's answers to the first `count` requests of one method."""

    def __init__(self, endpoint: str, method: bytes, count: int = 1) -> None:
        host, _, port = endpoint.partition(":")
        self._server = (host, int(port))
        self._method = method
        self._left = count
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._server)
            state = {"lose": False}
            threading.Thread(target=self._up, args=(client, server, state), daemon=True).start()
            threading.Thread(target=self._down, args=(client, server, state), daemon=True).start()

    def _up(self, client, server, state):
        with server:
            while data := receive(client):
                if data.startswith(self._method) and self._left:
                    self._left -= 1
                    state["lose"] = True
                server.sendall(data)

    def _down(self, client, server, state):
        with client:
            while data := receive(server):
                # "100 Continue" is no answer.
                if state["lose"]:
                    client.shutdown(socket.SHUT_RDWR)
                    return
                client.sendall(data)


def receive(connection):
    try:
        return connection.recv(1 << 16)
    except OSError:
        return b""


@pytest.mark.parametrize("largest", [5 << 30, 5 * MB])
def test_s3_put_whose_answer_was_lost_is_still_ours(s3, file, largest):
    with LosesAnswers(s3["endpoint"], b"PUT /") as proxy:
        through = S3Blobs(client_of(s3 | {"endpoint": proxy.endpoint}), s3["bucket"], largest_put=largest)
        assert through.put_if_absent(NAME, file(b"1" * 6 * MB)) is True
        assert proxy._left == 0
        assert through.put_if_absent(NAME, file(b"1" * 6 * MB)) is False


def test_s3_conditional_header_is_a_header_and_not_user_metadata(s3, file):
    client = client_of(s3)
    headers = {"If-None-Match": "*"}
    client.send("PUT", s3["bucket"], "a", b"1", headers=headers)
    with pytest.raises(S3Error, match="PreconditionFailed"):
        client.send("PUT", s3["bucket"], "a", b"2", headers=headers)


def test_s3_server_that_is_gone_is_down(free_port, file):
    client = s3_client(f"127.0.0.1:{free_port}", "key", "secret", tls=False)
    client._http.connection_pool_kw["retries"] = 0
    blobs = S3Blobs(client, "bucket")
    for ask in (blobs.stat, blobs.open, blobs.delete, lambda name: blobs.put_if_absent(name, file(b"1"))):
        with pytest.raises(StorageDown):
            ask(NAME)
    with pytest.raises(StorageDown):
        list(blobs.list())
    with pytest.raises(StorageDown):
        blobs.health()


def test_s3_bucket_or_key_that_is_wrong_is_down(s3):
    with pytest.raises(StorageDown, match="NoSuchBucket"):
        S3Blobs(client_of(s3), "no-such-bucket").health()
    with pytest.raises(StorageDown, match="SignatureDoesNotMatch"):
        S3Blobs(client_of(s3 | {"secret_key": "wrong"}), s3["bucket"]).health()


def test_s3_quota_is_storage_full(s3, file):
    error = S3Error(None, "QuotaExceeded", "quota", "", "", "")
    with pytest.raises(StorageFull, match="QuotaExceeded"), _answers("x"):
        raise error


def test_s3_failed_parts_leave_no_upload_behind(s3, file, tmp_path):
    client = client_of(s3)
    blobs = S3Blobs(client, s3["bucket"], largest_put=5 * MB)
    source = file(bytes(6 * MB))
    send = client.send

    def truncate_after_first_part(*args, **kwargs):
        answer = send(*args, **kwargs)
        if args[0] == "PUT":
            os.truncate(source, 5 * MB)
        return answer

    client.send = truncate_after_first_part
    with pytest.raises(StorageDown):
        blobs.put_if_absent(NAME, source)
    assert blobs.stat(NAME) is None
    assert b"<Upload>" not in send("GET", s3["bucket"], None, query={"uploads": ""}).data
