"""Compressed metadata and search results."""

import gzip
import json

import httpx
import pytest
import zstandard

from dicomweb.compression import content_coding
from tests.dicomweb.builders import part10

INSTANCE = "/studies/1.2/series/1.2.1/instances/1.2.1.1"


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        ("", None),
        ("gzip", "gzip"),
        ("gzip, deflate, br", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip;q=1.0, zstd;q=0.5", "gzip"),
        ("GZIP; Q=0.5", "gzip"),
        ("x-gzip", "gzip"),
        ("*", "zstd"),
        ("zstd;q=0, *", "gzip"),
        ("gzip;q=0", None),
        ("identity", None),
        ("identity;q=1, gzip;q=0.2", None),
        ("br", None),
        (";,q=;gzip;q=x", None),
    ],
)
def test_the_coding_that_is_liked_best(header, coding):
    assert content_coding(header) == coding


@pytest.fixture
def filled(web, store):
    store(*(part10(SOPInstanceUID=f"1.2.1.{number}") for number in range(1, 5)))
    return web


def raw(web, path: str, encoding: str, method: str = "GET") -> tuple[httpx.Response, bytes]:
    """The answer, and its body as it came over the wire."""
    with web.stream(method, path, headers={"Accept-Encoding": encoding}) as answer:
        return answer, b"".join(answer.iter_raw())


def unzstd(data: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(data)


@pytest.mark.parametrize("path", ["/studies/1.2/metadata", "/studies/1.2/instances"])
@pytest.mark.parametrize(("coding", "decompress"), [("gzip", gzip.decompress), ("zstd", unzstd)])
def test_json_comes_compressed(filled, path, coding, decompress):
    plain, expected = raw(filled, path, "identity")
    answer, body = raw(filled, path, coding)
    assert answer.headers["content-encoding"] == coding
    assert "content-encoding" not in plain.headers
    assert decompress(body) == expected
    assert int(answer.headers["content-length"]) == len(body) < len(expected) / 3
    assert all("Accept-Encoding" in each.headers["vary"] for each in (plain, answer))


def test_long_answers_are_compressed_while_they_are_made(web, store, monkeypatch):
    monkeypatch.setattr("dicomweb.metadata._MOST_KEPT", 100)
    comment = {"ImageComments": "x" * 10_000}
    store(*(part10(SOPInstanceUID=f"1.2.1.{number}", **comment) for number in range(1, 300)))
    answer, body = raw(web, "/studies/1.2/metadata", "gzip")
    assert "content-length" not in answer.headers
    assert len(json.loads(gzip.decompress(body))) == 299


def test_short_answers_stay_as_they_are(web):
    answer, body = raw(web, "/studies", "gzip")
    assert (answer.headers.get("content-encoding"), body) == (None, b"[]")


def test_pixels_and_objects_stay_as_they_are(filled):
    for path in (INSTANCE, f"{INSTANCE}/frames/1", "/studies/1.2", f"{INSTANCE}/bulkdata/7FE00010"):
        answer, _ = raw(filled, path, "gzip, zstd")
        assert "content-encoding" not in answer.headers


def test_what_the_client_has_is_current_whatever_its_coding(filled):
    path = "/studies/1.2/metadata"
    plain, _ = raw(filled, path, "identity")
    compressed, _ = raw(filled, path, "gzip")
    assert compressed.headers["etag"] == f"W/{plain.headers['etag']}"
    for known in (plain.headers["etag"], compressed.headers["etag"]):
        for coding in ("identity", "gzip"):
            answer = filled.get(path, headers={"If-None-Match": known, "Accept-Encoding": coding})
            assert (answer.status_code, answer.content) == (304, b"")


def test_a_head_request_has_no_body(filled):
    answer, body = raw(filled, "/studies/1.2/metadata", "gzip", "HEAD")
    assert (answer.status_code, body) == (200, b"")


def test_errors_are_told_plainly(filled):
    answer, body = raw(filled, "/studies?NoSuchAttribute=1", "gzip")
    assert (answer.status_code, json.loads(body)["status"]) == (400, 400)
