"""Bodies longer than memory should be, and clients that go away in the middle."""

import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from urllib.parse import urlsplit

from dicomweb.receive import Receiver
from tests.dicomweb.builders import image, part10

MULTIPART = 'multipart/related; type="application/dicom"; boundary=b0undary'
FRAME = 2048 * 2048 * 2


def big(frames: int) -> Iterator[bytes]:
    """A DICOM file of `frames` times 8 MiB, in pieces."""
    small = part10(Rows=2048, Columns=2048, NumberOfFrames=frames, PixelData=b"\0\0")
    head = small[: small.index(b"\xe0\x7f\x10\x00") + 8]
    yield head + (frames * FRAME).to_bytes(4, "little")
    for _ in range(frames):
        yield bytes(FRAME)


def body(files: list[Iterator[bytes]]) -> Iterator[bytes]:
    for file in files:
        yield b"--b0undary\r\nContent-Type: application/dicom\r\n\r\n"
        yield from file
        yield b"\r\n"
    yield b"--b0undary--\r\n"


def test_a_long_body_is_received_in_little_memory(spool):
    receiver = Receiver(spool, MULTIPART, None)
    piece = bytes(1 << 20)
    tracemalloc.start()
    receiver.feed([b"--b0undary\r\n\r\n"])
    for _ in range(64):
        receiver.feed([piece])
    receiver.feed([b"\r\n--b0undary--"])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    (part,) = receiver.finish()
    assert part.file.size == 64 << 20
    assert peak < 8 << 20
    receiver.discard()


def test_a_long_multiframe_goes_in_and_out(web):
    answer = web.post("/studies", content=body([big(8)]), headers={"Content-Type": MULTIPART})
    assert answer.status_code == 200
    instance = "/studies/1.2/series/1.2.1/instances/1.2.1.1"
    frame = web.get(f"{instance}/frames/8", headers={"Accept": "application/octet-stream"})
    assert frame.content == bytes(FRAME)
    with web.stream("GET", instance, headers={"Accept": "application/dicom"}) as whole:
        assert sum(map(len, whole.iter_raw())) == sum(map(len, big(8)))


def test_an_implicit_multiframe_is_rewritten_as_it_is_sent(web, store):
    data = part10(image(Rows=2048, Columns=2048, PixelData=bytes(FRAME)), "1.2.840.10008.1.2")
    store(data)
    instance = "/studies/1.2/series/1.2.1/instances/1.2.1.1"
    with web.stream("GET", instance, headers={"Accept": "application/dicom"}) as answer:
        assert answer.headers["transfer-encoding"] == "chunked"
        assert sum(map(len, answer.iter_raw())) > FRAME


def test_a_client_that_goes_away_leaves_nothing(web, spool):
    """Not even the part that arrived whole: a request is stored when all of it is here."""
    address = urlsplit(str(web.base_url))
    with socket.create_connection((address.hostname, address.port)) as client:
        head = "POST /dicom-web/studies HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n"
        start = b"--b0undary\r\n\r\n" + part10() + b"\r\n--b0undary\r\n\r\n" + bytes(2_000_000)
        client.sendall(f"{head}Content-Type: {MULTIPART}\r\n\r\n".encode() + start)
        wait_until(lambda: len(list(spool.folder.iterdir())) > 1)
    wait_until(lambda: [path.name for path in spool.folder.iterdir()] == [".lock"])
    assert web.get("/instances").json() == []


def wait_until(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_many_clients_store_and_read_at_once(web):
    answers = []

    def store(number: int) -> None:
        data = part10(SOPInstanceUID=f"1.2.1.{number}", InstanceNumber=number)
        answers.append(web.post("/studies", content=data, headers={"Content-Type": "application/dicom"}))
        answers.append(web.get(f"/studies/1.2/series/1.2.1/instances/1.2.1.{number}/metadata"))

    threads = [threading.Thread(target=store, args=(number,)) for number in range(1, 21)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [200] * 40
    assert len(web.get("/studies/1.2/instances").json()) == 20
