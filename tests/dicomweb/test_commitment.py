"""Storage commitment over the web."""

import json

import pytest

from dicomweb.xml import write_xml
from tests.dicomweb.builders import part10

URL = "/commitment-requests/1.2.3"
CT, SOP = "1.2.840.10008.5.1.4.1.1.2", "1.2.1.1"
JSON = {"Content-Type": "application/dicom+json"}


def reference(sop_class, sop):
    return {"00081150": {"vr": "UI", "Value": [sop_class]}, "00081155": {"vr": "UI", "Value": [sop]}}


def request(*pairs):
    return {"00081199": {"vr": "SQ", "Value": [reference(*pair) for pair in pairs]}}


@pytest.fixture
def stored(store):
    (accepted,) = store(part10())
    return accepted.instance


def test_what_is_stored_is_committed_and_the_rest_says_why(web, stored):
    asked = request(
        (stored.sop_class, SOP), (stored.sop_class, "9.9"), ("1.2.840.10008.5.1.4.1.1.88.11", SOP)
    )
    answer = web.post(URL, content=json.dumps(asked), headers=JSON)
    assert answer.status_code == 200
    (found,) = answer.json()
    assert found["00081199"]["Value"] == [reference(stored.sop_class, SOP)]
    assert [each["00081197"]["Value"][0] for each in found["00081198"]["Value"]] == [0x0112, 0x0119]


def test_bytes_that_are_not_what_came_in_are_not_committed(web, stored, tmp_path):
    path = tmp_path / "blobs" / stored.blob
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    (found,) = web.post(URL, json=request((stored.sop_class, SOP)), headers=JSON).json()
    assert found["00081198"]["Value"][0]["00081197"]["Value"] == [0x0110]
    assert "00081199" not in found


def test_it_may_be_xml(web, stored):
    body = write_xml(request((stored.sop_class, SOP)))
    accept = 'multipart/related; type="application/dicom+xml"'
    answer = web.post(URL, content=body, headers={"Content-Type": "application/dicom+xml", "Accept": accept})
    assert answer.status_code == 200
    assert b'keyword="ReferencedSOPSequence"' in answer.content


@pytest.mark.parametrize(
    ("url", "body", "kind", "status"),
    [
        (URL, "{}", "application/dicom+json", 400),
        (URL, "[", "application/dicom+json", 400),
        (URL, json.dumps(request(("x", "y"))), "application/dicom+json", 400),
        (URL, json.dumps(request(*[(CT, SOP)] * 2001)), "application/dicom+json", 400),
        (URL, "{}", "text/plain", 415),
        ("/commitment-requests/abc", "{}", "application/dicom+json", 400),
    ],
)
def test_a_malformed_request_is_refused(web, url, body, kind, status):
    assert web.post(url, content=body, headers={"Content-Type": kind}).status_code == status


def test_nothing_is_ever_under_way(web):
    assert web.get(URL).status_code == 404
