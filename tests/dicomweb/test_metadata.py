"""Metadata that is kept as it was sent is never that of yesterday."""

import pytest

from dicomweb.cache import ByteCache
from storage.archive import Archive
from storage.instances import Origin
from tests.dicomweb.builders import part10

STUDY, SERIES = "/studies/1.2/metadata", "/studies/1.2/series/1.2.1/metadata"
FIRST, SECOND = (part10(SOPInstanceUID=f"1.2.1.{n}", InstanceNumber=n) for n in (1, 2))


@pytest.fixture
def opened_archive(opened_archive):
    """One that replaces."""
    archive, spool = opened_archive
    return Archive(archive._blobs, archive._index, duplicates="replace"), spool


def seen(web, path: str) -> tuple[list[str], str]:
    """What metadata says of each instance, in every coding, and its entity tag."""
    said = []
    for coding in ("identity", "zstd", "gzip"):
        answer = web.get(path, headers={"Accept-Encoding": coding})
        said.append([each["00100010"]["Value"][0]["Alphabetic"] for each in answer.json()])
    assert said[0] == said[1] == said[2]
    return said[0], answer.headers["etag"]


@pytest.mark.parametrize("path", [STUDY, SERIES])
def test_what_comes_late_is_replaced_or_goes_shows_at_once(web, store, archive, path):
    history = []
    store(FIRST)
    history.append(seen(web, path))
    store(SECOND)
    history.append(seen(web, path))
    store(part10(SOPInstanceUID="1.2.1.2", InstanceNumber=2, PatientName="Other"))
    history.append(seen(web, path))
    archive.delete("1.2", "1.2.1", "1.2.1.2", origin=Origin("review"))
    history.append(seen(web, path))
    store(
        part10(SOPInstanceUID="1.2.1.3", InstanceNumber=3, PatientName="Third")
    )  # takes a number that is free
    history.append(seen(web, path))
    names, tags = zip(*history, strict=True)
    alone = ["Doe^Jane"]
    assert names == (alone, [*alone, *alone], [*alone, "Other"], alone, [*alone, "Third"])
    assert tags[0] == tags[3]
    assert len({*tags}) == 4


def test_a_client_that_has_it_reads_no_header(web, store, archive, monkeypatch):
    store(FIRST, SECOND)
    tag = web.get(STUDY).headers["etag"]
    monkeypatch.setattr(archive, "instances", None)
    monkeypatch.setattr(archive, "headers", None)
    assert web.get(STUDY, headers={"If-None-Match": tag}).status_code == 304
    assert len(web.get(STUDY).json()) == 2


def test_addresses_of_big_values_are_those_of_the_server_that_was_asked(web, store):
    store(FIRST)
    for host in ("a.example", "b.example"):
        (header,) = web.get(STUDY, headers={"Host": host}).json()
        assert header["7FE00010"]["BulkDataURI"].startswith(f"http://{host}/dicom-web/studies/1.2/")


def test_a_cache_forgets_what_was_not_asked_for_longest():
    cache, made = ByteCache(max_bytes=16), []

    def get(key: str) -> None:
        cache.get(key, lambda: made.append(key) or b"1234")

    for key in "abcdaeab":
        get(key)
    assert "".join(made) == "abcdeb"
