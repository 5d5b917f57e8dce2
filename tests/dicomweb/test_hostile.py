"""Whatever a client sends, it is answered as its own mistake: no request makes a server error."""

from http.client import HTTPConnection, HTTPException
from urllib.parse import quote

import httpx
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


@pytest.mark.parametrize(
    "path",
    [
        "/studies?" + "PatientID=1&" * 100_000,
        "/studies?includefield=" + "00100010," * 100_000,
        "/studies?StudyInstanceUID=" + "1.2," * 200_000,
        f"{INSTANCE}/frames/" + "1," * 50_000 + "1",
        f"{INSTANCE}/frames/" + "1," * 5_000 + "1/rendered",
        f"{INSTANCE}/bulkdata/" + "00081199/0/" * 5_000,
    ],
    ids=["keys", "fields", "uids", "frames", "rendered frames", "bulk data"],
)
def test_a_request_of_a_million_elements_is_refused(filled, path):
    root = filled.base_url
    connection = HTTPConnection(root.host, root.port, timeout=30)
    try:
        connection.request("GET", f"/dicom-web{path}")
        status = connection.getresponse().status
    except (ConnectionError, HTTPException):
        return  # the server does not read lines of that length to their end
    finally:
        connection.close()
    assert 400 <= status < 500


@pytest.mark.parametrize("name", ["Accept", "If-None-Match", "Range", "X-Anything"])
def test_huge_headers_cost_a_client_error(filled, name):
    for size in (8_000, 60_000, 1 << 20):
        try:
            assert filled.get(INSTANCE, headers={name: "a," * (size // 2)}).status_code < 500
        except (httpx.RemoteProtocolError, httpx.WriteError, httpx.ReadError):
            continue  # closed while it was sent


@pytest.mark.parametrize(
    "path",
    [
        "/studies/..%2f..%2fetc%2fpasswd",
        "/studies/1.2/../../../../../healthz",
        "/studies/%00",
        "/studies/1.2%00/metadata",
        "/studies//1.2",
        f"{INSTANCE}/bulkdata/..%2f..%2fx",
        f"{INSTANCE}/frames/%2e%2e/rendered",
        "/studies/" + "9" * 5000,
        "/changefeed?since=%00",
    ],
)
def test_path_tricks_lead_nowhere(filled, path):
    assert 400 <= filled.get(path).status_code < 500


@pytest.mark.parametrize(
    "span", ["bytes=5-2", "bytes=-0", "bytes=99999999-", "bytes=0-0,5-9", "bytes=a-b", "lines=1-2", "bytes=-"]
)
def test_wrong_ranges_are_refused_or_passed_over(filled, span):
    headers = {"Range": span, "Accept": "application/dicom; transfer-syntax=*"}
    assert filled.get(INSTANCE, headers=headers).status_code in {200, 416}
