"""Non-patient instances over the web: stored, found and retrieved in every form."""

import json
from io import BytesIO

import pydicom
import pytest
from pydicom.dataset import Dataset

from tests.dicomweb.builders import HANGING_PROTOCOL, multipart, part10, protocol

PATH = "/hanging-protocols"


def post(web, data: bytes, path: str = PATH, kind: str = "application/dicom"):
    return web.post(path, content=data, headers={"Content-Type": kind})


def test_a_stored_protocol_is_found_and_comes_back_as_it_was(web):
    data = protocol()
    answer = post(web, data)
    assert answer.status_code == 200
    url = f"{str(web.base_url).rstrip('/')}{PATH}/2.25.1"
    (stored,) = answer.json()["00081199"]["Value"]
    assert stored["00081190"]["Value"] == [url]
    (result,) = web.get(PATH, params={"HangingProtocolName": "Chest*"}).json()
    assert result["00720002"]["Value"] == ["Chest pair"]
    assert result["00081190"]["Value"] == [url]
    assert "00282000" not in result
    whole = web.get(url, headers={"Accept": "application/dicom"})
    assert whole.content == data
    assert web.get(url, headers={"Accept": "application/dicom", "Range": "bytes=128-131"}).content == b"DICM"


def test_json_is_the_default_and_holds_big_values(web):
    post(web, protocol())
    answer = web.get(f"{PATH}/2.25.1")
    assert answer.headers["content-type"] == "application/dicom+json"
    (attributes,) = answer.json()
    assert pydicom.Dataset.from_json(attributes) == pydicom.dcmread(BytesIO(protocol()))
    known = {"If-None-Match": answer.headers["etag"]}
    assert web.get(f"{PATH}/2.25.1", headers=known).status_code == 304


@pytest.mark.parametrize(
    "accept",
    ["application/dicom+xml", 'multipart/related; type="application/dicom+xml"', "application/json"],
)
def test_it_is_given_in_other_forms(web, accept: str):
    post(web, protocol())
    answer = web.get(f"{PATH}/2.25.1", headers={"Accept": accept})
    assert answer.status_code == 200
    assert b"Chest pair" in answer.content


def test_implicit_vr_leaves_explicit(web):
    post(web, protocol(syntax="1.2.840.10008.1.2"))
    answer = web.get(f"{PATH}/2.25.1", headers={"Accept": 'multipart/related; type="application/dicom"'})
    assert "transfer-syntax=1.2.840.10008.1.2.1" in answer.text.partition("\r\n\r\n")[0]


def test_metadata_is_stored_too(web):
    attributes = Dataset()
    attributes.SOPClassUID, attributes.SOPInstanceUID = HANGING_PROTOCOL, "2.25.5"
    attributes.HangingProtocolName = "From JSON"
    body = json.dumps([attributes.to_json_dict()]).encode()
    answer = post(web, body, kind="application/dicom+json")
    assert answer.status_code == 200, answer.text
    assert web.get(f"{PATH}/2.25.5").json()[0]["00720002"]["Value"] == ["From JSON"]


def test_one_of_several_that_is_none_is_told(web):
    kind = 'multipart/related; type="application/dicom"; boundary=b0undary'
    answer = post(web, multipart(protocol(), part10()), kind=kind)
    assert answer.status_code == 200
    (failed,) = answer.json()["00081198"]["Value"]
    assert failed["00081197"]["Value"] == [0xC000]
    assert "SOPClassUID" in failed["00000902"]["Value"][0]
    assert post(web, part10()).status_code == 409


def test_other_bytes_and_another_address_are_refused(web):
    assert post(web, protocol(), f"{PATH}/2.25.1").status_code == 200
    other = post(web, protocol(HangingProtocolName="Other"))
    assert other.status_code == 409
    assert other.json()["00081198"]["Value"][0]["00081197"]["Value"] == [0x0111]
    elsewhere = post(web, protocol(SOPInstanceUID="2.25.3"), f"{PATH}/2.25.4")
    assert elsewhere.json()["00081198"]["Value"][0]["00081197"]["Value"] == [0xA900]
    assert len(web.get(PATH).json()) == 1


def test_pages_and_fields(web):
    for number in range(3):
        post(web, protocol(SOPInstanceUID=f"2.25.{number}", HangingProtocolDescription="for two screens"))
    page = web.get(PATH, params={"limit": 2, "includefield": "ICCProfile,SoftwareVersions"})
    assert "additional results" in page.headers["warning"]
    assert [each["00080018"]["Value"] for each in page.json()] == [["2.25.2"], ["2.25.1"]]
    assert page.json()[0]["00181020"] == {"vr": "LO"}
    (last,) = web.get(PATH, params={"offset": 2, "includefield": "all"}).json()
    assert last["00720004"]["Value"] == ["for two screens"]
    assert web.get(PATH, params={"HangingProtocolName": "none"}).json() == []
    xml = {"Accept": 'multipart/related; type="application/dicom+xml"'}
    assert web.get(PATH, headers=xml).content.count(b"<NativeDicomModel") == 3


def test_categories_are_kept_apart(web):
    post(web, protocol())
    assert web.get("/color-palettes").json() == []
    assert web.get("/color-palettes/2.25.1").status_code == 404
    assert post(web, protocol(SOPInstanceUID="2.25.8"), "/color-palettes").status_code == 409


@pytest.mark.parametrize("query", ["NoSuchThing=1", "limit=x", "SOPInstanceUID=1&includefield=Nonsense"])
def test_a_query_that_makes_no_sense_is_named(web, query: str):
    answer = web.get(f"{PATH}?{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


def test_capabilities_name_every_category(web):
    wadl = web.request("OPTIONS", "/").text
    for name in ("color-palettes", "defined-procedure-protocols", "hanging-protocols", "implant-templates"):
        assert f'path="{name}"' in wadl
    assert 'path="inventories"' in wadl
