"""XML of the Native DICOM Model, read with the standard library's parser."""

import xml.etree.ElementTree as ET

import pytest

from dicomweb.xml import write_xml
from tests.dicomweb.builders import image, multipart, part10
from tests.dicomweb.multipart_answers import parts

NS = {"n": "http://dicom.nema.org/PS3.19/models/NativeDICOM"}
XML = "application/dicom+xml"
PARTS = f'multipart/related; type="{XML}"'
INSTANCE = "/studies/1.2/series/1.2.1/instances/1.2.1.1"


def attribute(document: bytes | ET.Element, tag: str) -> ET.Element:
    root = ET.fromstring(document) if isinstance(document, bytes) else document
    found = root.findall(f"n:DicomAttribute[@tag='{tag}']", NS)
    assert len(found) == 1, (tag, len(found))
    return found[0]


def values(element: ET.Element) -> list[tuple[str, str | None]]:
    return [(each.get("number"), each.text) for each in element.findall("n:Value", NS)]


def test_values_have_their_numbers_also_the_empty_ones():
    document = write_xml({"00080008": {"vr": "CS", "Value": ["ORIGINAL", None, "AXIAL"]}})
    element = attribute(document, "00080008")
    assert (element.get("keyword"), element.get("vr")) == ("ImageType", "CS")
    assert values(element) == [("1", "ORIGINAL"), ("2", None), ("3", "AXIAL")]


def test_markup_and_line_ends_in_text_survive():
    text = "a < b & c > \"d\" 'e' ]]>\r\nnext\ttab"
    element = attribute(write_xml({"00324000": {"vr": "LT", "Value": [text]}}), "00324000")
    assert values(element) == [("1", text)]


def test_what_xml_cannot_hold_is_replaced():
    element = attribute(write_xml({"00081030": {"vr": "LO", "Value": ["a\x1b\x00b\ud800"]}}), "00081030")
    assert values(element) == [("1", "a\ufffd\ufffdb\ufffd")]


def test_names_come_in_their_parts():
    name = {"Alphabetic": "Yamada^Tarou^^Dr", "Ideographic": "山田^太郎"}
    element = attribute(write_xml({"00100010": {"vr": "PN", "Value": [name]}}), "00100010")
    (person,) = element.findall("n:PersonName", NS)
    assert person.get("number") == "1"
    found = {
        tuple(each.tag.partition("}")[2] for each in (group, part)): part.text
        for group in person
        for part in group
    }
    assert found == {
        ("Alphabetic", "FamilyName"): "Yamada",
        ("Alphabetic", "GivenName"): "Tarou",
        ("Alphabetic", "NamePrefix"): "Dr",
        ("Ideographic", "FamilyName"): "山田",
        ("Ideographic", "GivenName"): "太郎",
    }


def test_private_attributes_name_their_creator_instead_of_a_block():
    document = write_xml(
        {"00090010": {"vr": "LO", "Value": ['A "&" B']}, "00091005": {"vr": "LO", "Value": ["x"]}}
    )
    assert len(ET.fromstring(document)) == 1
    element = attribute(document, "00090005")
    assert (element.get("privateCreator"), element.get("keyword")) == ('A "&" B', None)


def test_private_attributes_without_creator_keep_their_tag():
    assert attribute(write_xml({"00091005": {"vr": "UN"}}), "00091005").get("privateCreator") is None


def test_group_lengths_are_left_out():
    assert len(ET.fromstring(write_xml({"00080000": {"vr": "UL", "Value": [4]}}))) == 0


def test_items_and_binary_values_nest():
    inner = {"00281203": {"vr": "OW", "InlineBinary": "AAEC"}}
    document = write_xml({"00081115": {"vr": "SQ", "Value": [{}, inner]}})
    empty, item = attribute(document, "00081115").findall("n:Item", NS)
    assert (empty.get("number"), len(empty), item.get("number")) == ("1", 0, "2")
    assert attribute(item, "00281203").find("n:InlineBinary", NS).text == "AAEC"


def test_metadata_comes_in_xml_parts_whose_addresses_resolve(web, store):
    store(part10(PatientName="Müller^Jörg"), part10(SOPInstanceUID="1.2.1.2"))
    answer = web.get("/studies/1.2/metadata", headers={"Accept": PARTS})
    assert 'type="application/dicom+xml"' in answer.headers["content-type"]
    (kind, first), (_, second) = parts(answer)
    assert kind == XML
    name = attribute(first, "00100010").find("n:PersonName/n:Alphabetic/n:FamilyName", NS)
    assert name.text == "Müller"
    assert values(attribute(second, "00080018")) == [("1", "1.2.1.2")]
    address = attribute(first, "7FE00010").find("n:BulkData", NS).get("uri")
    assert web.get(address).content == image().PixelData


def test_metadata_of_one_instance_may_be_one_document(web, store):
    store(part10(), part10(SOPInstanceUID="1.2.1.2"))
    answer = web.get(f"{INSTANCE}/metadata", headers={"Accept": XML})
    assert answer.headers["content-type"] == XML
    assert values(attribute(answer.content, "00280010")) == [("1", "4")]
    assert web.get("/studies/1.2/metadata", headers={"Accept": XML}).status_code == 406


def test_json_and_xml_metadata_have_tags_of_their_own(web, store):
    store(part10())
    as_json, as_xml = (web.get(f"{INSTANCE}/metadata", headers={"Accept": each}) for each in ("*/*", PARTS))
    assert as_json.headers["etag"] != as_xml.headers["etag"]
    again = {"Accept": PARTS, "If-None-Match": as_xml.headers["etag"]}
    assert web.get(f"{INSTANCE}/metadata", headers=again).status_code == 304


def test_search_results_come_in_xml_parts(web, store):
    store(part10(), part10(StudyInstanceUID="1.3", SeriesInstanceUID="1.3.1", SOPInstanceUID="1.3.1.1"))
    found = parts(web.get("/studies", headers={"Accept": PARTS}))
    assert {values(attribute(document, "0020000D"))[0][1] for _, document in found} == {"1.2", "1.3"}
    nothing = web.get("/studies?PatientID=nobody", headers={"Accept": PARTS})
    assert (nothing.status_code, nothing.content) == (204, b"")


def test_store_answers_in_xml_when_asked(web):
    body = multipart(part10(), b"not DICOM")
    kind = 'multipart/related; type="application/dicom"; boundary=b0undary'
    answer = web.post("/studies", content=body, headers={"Content-Type": kind, "Accept": XML})
    assert (answer.status_code, answer.headers["content-type"]) == (202, XML)
    stored = attribute(answer.content, "00081199").find("n:Item", NS)
    assert values(attribute(stored, "00081155")) == [("1", "1.2.1.1")]


@pytest.mark.parametrize("name", ["ct", "sr", "seg", "enhanced", "us"])
def test_real_metadata_says_the_same_in_xml(test_data, web, store, name):
    path = min((test_data / "dicom" / name).glob("*.dcm"))
    (accepted,) = store(path.read_bytes())
    key = accepted.instance.key
    address = f"/studies/{key.study}/series/{key.series}/instances/{key.sop}/metadata"
    ((_, document),) = parts(web.get(address, headers={"Accept": PARTS}))
    root = ET.fromstring(document)
    (header,) = web.get(address).json()
    public = [tag for tag in header if not int(tag, 16) & 0x10000]
    assert [each.get("tag") for each in root if not int(each.get("tag"), 16) & 0x10000] == public
    for tag in public:
        expected = header[tag].get("Value", [])
        if header[tag]["vr"] not in {"SQ", "PN"}:
            assert [text or "" for _, text in values(attribute(root, tag))] == [
                "" if each is None else str(each) for each in expected
            ]
