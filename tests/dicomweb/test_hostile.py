"""Whatever a client sends, it is answered as its own mistake: no request makes a server error."""

from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.dicomweb.builders import multipart, part10

INSTANCE = "/studies/1.2/series/1.2.1/instances/1.2.1.1"
PATHS = [
    "/studies",
    "/studies/1.2",
    "/studies/1.2/metadata",
    INSTANCE,
    f"{INSTANCE}/frames/1",
    f"{INSTANCE}/bulkdata/7FE00010",
]
HEADER = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40).map(str.strip)
EVERYTHING = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@EVERYTHING
@given(path=st.sampled_from(PATHS), accept=HEADER, span=HEADER, known=HEADER)
def test_any_headers(filled, path, accept, span, known):
    headers = {"Accept": accept, "Range": f"bytes={span}", "If-None-Match": known, "If-Range": known}
    assert filled.get(path, headers=headers).status_code < 500


@EVERYTHING
@given(
    name=st.one_of(
        st.sampled_from(["PatientName", "StudyDate", "limit", "includefield", "accept"]), st.text(max_size=10)
    ),
    value=st.text(max_size=30),
)
def test_any_query(filled, name, value):
    assert filled.get("/studies", params={name: value}).status_code < 500


@EVERYTHING
@given(segments=st.lists(st.text(max_size=8), max_size=4))
def test_any_path(filled, segments):
    path = "/".join(quote(segment, safe="") for segment in segments)
    for start in ("/studies/", f"{INSTANCE}/frames/", f"{INSTANCE}/bulkdata/"):
        assert filled.get(start + path).status_code < 500


@EVERYTHING
@given(at=st.integers(0, 900), junk=st.binary(min_size=1, max_size=20), kind=HEADER)
def test_any_body(filled, at, junk, kind):
    whole = multipart(part10(SOPInstanceUID="1.2.1.2"))
    body = whole[:at] + junk + whole[at + len(junk) :]
    boundary = 'multipart/related; type="application/dicom"; boundary=b0undary'
    for content_type in (boundary, f"multipart/related; boundary={kind}", kind):
        answer = filled.post("/studies", content=body, headers={"Content-Type": content_type})
        assert answer.status_code < 500


@pytest.fixture
def filled(web, store):
    store(part10())
    return web


def test_the_hostile_files_of_the_test_data(web, test_data):
    for path in sorted((test_data / "bad").rglob("*")):
        if path.is_file():
            answer = web.post(
                "/studies", content=path.read_bytes(), headers={"Content-Type": "application/dicom"}
            )
            assert answer.status_code < 500, path
    for found in web.get("/instances?limit=1000").json():
        url = found["00081190"]["Value"][0]
        for below in ("", "/metadata", "/frames/1"):
            assert web.get(url + below).status_code < 500, (url, below)
        assert (
            web.get(
                url, headers={"Accept": "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"}
            ).status_code
            < 500
        )
