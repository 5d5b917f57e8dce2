"""STOW-RS of metadata and bulk data: DICOM JSON and XML, with values in parts of their own."""

import io
import json

import imagecodecs
import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as any_of
from hypothesis import strategies as st
from pydicom.encaps import generate_frames

from dicomweb import compose
from dicomweb.compose import composed
from dicomweb.media_types import MediaType
from dicomweb.receive import Part
from dicomweb.xml import write_xml
from dicomweb.xml_reader import read_xml
from tests.dicomweb.builders import CT, part10
from tests.dicomweb.multipart_answers import parts as multipart_answer

JSON, XML, OCTETS = "application/dicom+json", "application/dicom+xml", "application/octet-stream"
UIDS = {
    "00080016": {"vr": "UI", "Value": [CT]},
    "00080018": {"vr": "UI", "Value": ["1.2.1.1"]},
    "0020000D": {"vr": "UI", "Value": ["1.2"]},
    "0020000E": {"vr": "UI", "Value": ["1.2.1"]},
}
PIXELS = {"7FE00010": {"vr": "OW", "BulkDataURI": "pixels"}}


def body(*parts: tuple[str, str, bytes]) -> bytes:
    """A multipart body of parts, each a Content-Type, a Content-Location and its content."""
    heads = [
        f"--b\r\nContent-Type: {kind}\r\n" + (f"Content-Location: {at}\r\n" if at else "")
        for kind, at, _ in parts
    ]
    written = [
        head.encode() + b"\r\n" + data + b"\r\n" for head, (_, _, data) in zip(heads, parts, strict=True)
    ]
    return b"".join(written) + b"--b--\r\n"


def post(web, *parts: tuple[str, str, bytes], kind: str = JSON):
    content_type = f'multipart/related; type="{kind}"; boundary=b'
    return web.post("/studies", content=body(*parts), headers={"Content-Type": content_type})


def post_json(web, data_set: dict, *bulk: tuple[str, str, bytes]):
    return post(web, (JSON, "", json.dumps([data_set]).encode()), *bulk)


def stored(archive, sop: str = "1.2.1.1") -> pydicom.Dataset:
    with archive.open(archive.instance(sop)) as file:
        return pydicom.dcmread(io.BytesIO(file.read()))


def us(value: int) -> dict:
    return {"vr": "US", "Value": [value]}


def macro(rows: int, columns: int, bits: int = 16) -> dict:
    numbers = {"00280002": 1, "00280010": rows, "00280011": columns, "00280100": bits, "00280101": bits}
    numbers |= {"00280102": bits - 1, "00280103": 0}
    photometric = {"00280004": {"vr": "CS", "Value": ["MONOCHROME2"]}}
    return {tag: us(number) for tag, number in numbers.items()} | photometric


def test_values_of_every_kind_are_stored_as_they_are_meant(web, archive):
    values = {
        "00080005": {"vr": "CS", "Value": ["ISO_IR 100"]},
        "00080008": {"vr": "CS", "Value": ["ORIGINAL", None, "AXIAL"]},
        "00081190": {"vr": "UR", "Value": ["http://example.org/a"]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Müller^Jörg", "Ideographic": "山田^太郎"}]},
        "00189810": {"vr": "FD", "Value": [1.5, -2]},
        "00200013": {"vr": "IS", "Value": [7]},
        "00200032": {"vr": "DS", "Value": [0.1, -100.123456789012345, 3]},
        "00280009": {"vr": "AT", "Value": ["00181063"]},
        "00081115": {"vr": "SQ", "Value": [{"0020000E": {"vr": "UI", "Value": ["1.9"]}}, {}]},
        "00090010": {"vr": "LO", "Value": ["MAKER"]},
        "00091001": {"vr": "OB", "InlineBinary": "AAEC"},
        "00091002": {"vr": "SV", "Value": [-(2**62)]},
        "00324000": {"vr": "LT", "Value": ["two\r\nlines \\ one value"]},
    }
    assert post_json(web, UIDS | values).status_code == 200
    ds = stored(archive)
    assert ds.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
    assert ds.file_meta.MediaStorageSOPInstanceUID == "1.2.1.1"
    assert ds.SpecificCharacterSet == "ISO_IR 192"
    assert list(ds.ImageType) == ["ORIGINAL", "", "AXIAL"]
    assert ds.PatientName == "Müller^Jörg=山田^太郎"
    assert ds[0x00189810].value == [1.5, -2]
    assert [str(each) for each in ds.ImagePositionPatient] == ["0.1", "-100.12345678901", "3"]
    assert (ds.InstanceNumber, ds.FrameIncrementPointer) == (7, 0x00181063)
    assert [item.get("SeriesInstanceUID") for item in ds.ReferencedSeriesSequence] == ["1.9", None]
    assert (ds[0x00091001].value, ds[0x00091002].value) == (b"\0\1\2\0", -(2**62))
    assert ds[0x00324000].value == "two\r\nlines \\ one value"


def test_octets_become_native_pixel_data(web, archive):
    pixels = np.arange(24, dtype="<u2").tobytes()
    answer = post_json(web, UIDS | macro(4, 6) | PIXELS, (OCTETS, "pixels", pixels))
    assert answer.status_code == 200, answer.text
    assert stored(archive).PixelData == pixels
    address = "/studies/1.2/series/1.2.1/instances/1.2.1.1/frames/1"
    assert web.get(address, headers={"Accept": OCTETS}).content == pixels


@pytest.mark.parametrize(
    ("kind", "syntax"),
    [
        ("image/jpeg", "1.2.840.10008.1.2.4.70"),
        ('image/jpeg; transfer-syntax="1.2.840.10008.1.2.4.50"', "1.2.840.10008.1.2.4.50"),
        ("image/jls", "1.2.840.10008.1.2.4.80"),
        ("image/jp2", "1.2.840.10008.1.2.4.90"),
        ("image/jphc", "1.2.840.10008.1.2.4.201"),
        ("image/jxl", "1.2.840.10008.1.2.4.110"),
        ("image/dicom-rle", "1.2.840.10008.1.2.5"),
        ("image/x-jls", "1.2.840.10008.1.2.4.80"),
        ("image/j2c", "1.2.840.10008.1.2.4.90"),
        (f"{OCTETS}; transfer-syntax=1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.90"),
    ],
)
def test_images_become_encapsulated_pixel_data(web, archive, kind, syntax):
    frame = b"any stream, of odd length"
    answer = post_json(web, UIDS | macro(4, 6) | PIXELS, (kind, "pixels", frame))
    assert answer.status_code == 200, answer.text
    ds = stored(archive)
    assert ds.file_meta.TransferSyntaxUID == syntax
    assert list(generate_frames(ds.PixelData, number_of_frames=1)) == [frame + b"\0"]


@pytest.mark.parametrize("places", [("pixels", "pixels"), ("pixels/frames/1", "pixels/frames/2")])
def test_frames_may_come_in_parts_of_their_own(web, archive, places):
    several = {"00280008": {"vr": "IS", "Value": [2]}}
    bulk = [
        ("image/jp2", place, content)
        for place, content in zip(places, (b"frame one!", b"frame 2!"), strict=True)
    ]
    if places[0] != places[1]:
        bulk.reverse()
    assert post_json(web, UIDS | macro(4, 6) | several | PIXELS, *bulk).status_code == 200
    assert archive.frame(archive.instance("1.2.1.1"), 2) == b"frame 2!"


@pytest.mark.parametrize("encode", [imagecodecs.jpegls_encode, imagecodecs.jpeg2k_encode])
def test_what_a_stream_says_of_itself_need_not_be_in_the_metadata(web, archive, encode):
    image = np.arange(24, dtype=np.uint16).reshape(4, 6) * 100
    jpeg_ls = encode is imagecodecs.jpegls_encode
    stream = encode(image) if jpeg_ls else encode(image, codecformat="J2K", reversible=True)
    answer = post_json(web, UIDS | PIXELS, ("image/jls" if jpeg_ls else "image/jp2", "pixels", stream))
    assert answer.status_code == 200, answer.text
    ds = stored(archive)
    assert (ds.Rows, ds.Columns, ds.BitsAllocated, ds.PhotometricInterpretation) == (4, 6, 16, "MONOCHROME2")
    address = "/studies/1.2/series/1.2.1/instances/1.2.1.1/frames/1"
    native = web.get(address, headers={"Accept": OCTETS}).content
    assert np.array_equal(np.frombuffer(native, "<u2").reshape(4, 6), image)


def test_documents_and_nested_values_are_bulk_data_too(web, archive):
    nested = {"00081115": {"vr": "SQ", "Value": [{"00420011": {"vr": "OB", "BulkDataURI": "urn:uuid:1"}}]}}
    assert post_json(web, UIDS | nested, ("application/pdf", "urn:uuid:1", b"%PDF-1")).status_code == 200
    assert stored(archive).ReferencedSeriesSequence[0].EncapsulatedDocument == b"%PDF-1"


def test_instances_are_told_apart(web, archive):
    second = UIDS | {"00080018": {"vr": "UI", "Value": ["1.2.1.2"]}} | PIXELS
    unnamed = {"00100020": {"vr": "LO", "Value": ["X"]}}
    objects = [UIDS, second, unnamed]
    answer = post(web, (JSON, "", json.dumps(objects).encode()))
    assert answer.status_code == 202
    (failed,) = answer.json()["00081198"]["Value"]
    assert failed["00081155"]["Value"] == ["1.2.1.2"]
    assert "Content-Location pixels" in failed["00000902"]["Value"][0]
    (other,) = answer.json()["0008119A"]["Value"]
    assert other["00081197"]["Value"] == [0xC000]
    assert stored(archive).SOPInstanceUID == "1.2.1.1"


def test_xml_metadata_has_a_part_for_each_instance(web, archive):
    pixels = np.arange(24, dtype="<u2").tobytes()
    second = UIDS | {"00080018": {"vr": "UI", "Value": ["1.2.1.2"]}}
    documents = [write_xml(UIDS | macro(4, 6) | PIXELS), write_xml(second)]
    answer = post(web, *((XML, "", each) for each in documents), (OCTETS, "pixels", pixels), kind=XML)
    assert answer.status_code == 200, answer.text
    assert (stored(archive).PixelData, stored(archive).Rows) == (pixels, 4)
    assert stored(archive, "1.2.1.2").StudyInstanceUID == "1.2"


def test_metadata_alone_needs_no_parts(web):
    answer = web.post("/studies", content=json.dumps([UIDS]).encode(), headers={"Content-Type": JSON})
    assert answer.status_code == 200


def test_nothing_is_left_in_the_spool(web, spool):
    post_json(web, UIDS | PIXELS, (OCTETS, "pixels", bytes(48)))
    post_json(web, UIDS | PIXELS)
    post(web, (JSON, "", b"{"))
    assert [each.name for each in spool.folder.iterdir() if each.name != ".lock"] == []


FAR_APART = (
    b'<NativeDicomModel><DicomAttribute tag="00080008" vr="CS"><Value number="999999999"/>'
    b"</DicomAttribute></NativeDicomModel>"
)


@pytest.mark.parametrize(
    ("kind", "metadata"),
    [
        (JSON, b"{"),
        (JSON, b"[" * 100_000),
        (JSON, b"\xff"),
        (XML, b"<NativeDicomModel>"),
        (XML, b"<html/>"),
        (XML, b'<!DOCTYPE a [<!ENTITY b "c">]><NativeDicomModel>&b;</NativeDicomModel>'),
        (XML, b'<NativeDicomModel><DicomAttribute tag="x"/></NativeDicomModel>'),
        (XML, b'<?xml version="1.0" encoding="no-such"?><NativeDicomModel/>'),
        (XML, FAR_APART),
    ],
)
def test_metadata_that_cannot_be_read_is_refused(web, kind, metadata):
    answer = post(web, (kind, "", metadata), kind=kind)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


@pytest.mark.parametrize(
    "attribute",
    [
        {"00100020": 1},
        {"nonsense": {"vr": "LO"}},
        {"00100020": {}},
        {"00100020": {"vr": "XX"}},
        {"00100020": {"vr": ["LO"]}},
        {"00100020": {"vr": "LO", "Value": "x"}},
        {"00100020": {"vr": "LO", "Value": [{}]}},
        {"00280010": {"vr": "US", "Value": [70000]}},
        {"00280010": {"vr": "US", "Value": [1.5]}},
        {"00280010": {"vr": "US", "Value": ["9" * 5000]}},
        {"00280009": {"vr": "AT", "Value": ["x"]}},
        {"00200032": {"vr": "DS", "Value": [1e999]}},
        {"00091001": {"vr": "OB", "InlineBinary": "*"}},
        {"00091001": {"vr": "OB", "InlineBinary": 5}},
        {"00091001": {"vr": "OB", "Value": ["x"]}},
        {"00081115": {"vr": "SQ", "Value": [5]}},
        {"7FE00010": {"vr": "OW", "BulkDataURI": "nowhere"}},
    ],
)
def test_attributes_that_are_none_are_refused(web, attribute):
    answer = post_json(web, UIDS | attribute)
    assert answer.status_code == 409, answer.text
    (failed,) = answer.json()["00081198"]["Value"]
    assert failed["00081197"]["Value"] == [0xC000]
    assert failed["00000902"]["Value"][0]


def test_sequences_have_a_limit_of_depth(web):
    data_set = UIDS
    for _ in range(100):
        data_set = UIDS | {"00081115": {"vr": "SQ", "Value": [data_set]}}
    assert post_json(web, data_set).status_code == 409
    assert post(web, (XML, "", write_xml(data_set)), kind=XML).status_code == 400


def test_metadata_has_a_limit_of_length(spool, monkeypatch):
    monkeypatch.setattr(compose, "MAX_METADATA", 10)
    file = spool.new()
    file.write(b"[]" + b" " * 20)
    file.close()
    part = Part(1, file, media=MediaType(JSON))
    with pytest.raises(compose.PayloadTooLarge), composed([part], spool):
        pass
    file.discard()


def test_big_endian_pixels_are_refused(web):
    kind = f"{OCTETS}; transfer-syntax=1.2.840.10008.1.2.2"
    assert post_json(web, UIDS | PIXELS, (kind, "pixels", bytes(2))).status_code == 409


def test_private_attributes_in_xml_get_blocks():
    native = {
        "00090010": {"vr": "LO", "Value": ["A"]},
        "00090011": {"vr": "LO", "Value": ["B"]},
        "00091001": {"vr": "LO", "Value": ["a"]},
        "00091101": {"vr": "LO", "Value": ["b"]},
    }
    assert dict(sorted(read_xml(write_xml(native)).items())) == native


# XML names neither the block of a private attribute nor a name of empty parts: rt and charset have such.
NAMES = ["ct", "sr", "enhanced", "us", "ecg", "seg"]


@pytest.mark.parametrize(
    ("kind", "name"),
    [*((JSON, name) for name in [*NAMES, "rt", "charset"]), *((XML, name) for name in NAMES)],
)
def test_real_metadata_comes_back_as_an_instance_that_says_the_same(test_data, web, store, kind, name):
    """What we give is stored again under another UID: metadata and values are the same."""
    path = min((test_data / "dicom" / name).glob("*.dcm"))
    (accepted,) = store(path.read_bytes())
    key = accepted.instance.key
    address = f"/studies/{key.study}/series/{key.series}/instances/"
    (header,) = web.get(f"{address}{key.sop}/metadata").json()
    header["00080018"]["Value"] = ["1.2.3.4"]
    bulk = [part for uri in addresses(header) for part in given(web, uri)]
    data = json.dumps([header]).encode() if kind == JSON else write_xml(header)
    answer = post(web, (kind, "", data), *bulk, kind=kind)
    assert answer.status_code in {200, 202}, answer.text
    (again,) = web.get(f"{address}1.2.3.4/metadata").json()
    assert without_addresses(again) == without_addresses(header)
    values = zip(addresses(header), addresses(again), strict=True)
    for before, after in values:
        assert [data for _, _, data in given(web, before)] == [data for _, _, data in given(web, after)]


def addresses(data_set: dict) -> list[str]:
    nested = [
        each
        for attribute in data_set.values()
        if attribute["vr"] == "SQ"
        for each in attribute.get("Value", [])
    ]
    found = [attribute["BulkDataURI"] for attribute in data_set.values() if "BulkDataURI" in attribute]
    return found + [each for item in nested for each in addresses(item)]


def given(web, uri: str) -> list[tuple[str, str, bytes]]:
    """The parts in which the bulk data under an address would be sent again."""
    answer = web.get(uri, headers={"Accept": "multipart/related; type=*/*; transfer-syntax=*"})
    return [(kind, uri, data) for kind, data in multipart_answer(answer)]


def without_addresses(data_set: dict) -> dict:
    def plain(attribute: dict) -> dict:
        if attribute["vr"] == "SQ":
            return {"vr": "SQ", "Value": [without_addresses(item) for item in attribute.get("Value", [])]}
        return {name: content for name, content in attribute.items() if name != "BulkDataURI"}

    return {tag: plain(each) for tag, each in data_set.items() if tag != "00080005"}


NAMES_IN_JSON = st.sampled_from(["vr", "Value", "InlineBinary", "BulkDataURI", "00080018"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
LISTS = SCALARS | st.lists(SCALARS, max_size=3)
OBJECTS = LISTS | st.dictionaries(NAMES_IN_JSON, LISTS, max_size=3)
JSON_VALUES = OBJECTS | st.lists(OBJECTS, max_size=2) | st.dictionaries(NAMES_IN_JSON, OBJECTS, max_size=3)
EVERYTHING = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@EVERYTHING
@any_of(tag=st.sampled_from(["00080018", "00100010", "7FE00010", "00081115", "x"]), value=JSON_VALUES)
def test_any_attribute_is_answered(web, tag, value):
    assert post_json(web, UIDS | {tag: value}, (OCTETS, "pixels", b"x")).status_code < 500


@EVERYTHING
@any_of(vr=st.sampled_from(["US", "PN", "SQ", "OB", "AT", "DS", "LO"]), value=JSON_VALUES)
def test_any_value_is_answered(web, vr, value):
    assert post_json(web, UIDS | {"00100020": {"vr": vr, "Value": [value]}}).status_code < 500


@EVERYTHING
@any_of(at=st.integers(0, 900), junk=st.binary(min_size=1, max_size=20))
def test_any_xml_is_answered(web, at, junk):
    whole = write_xml(UIDS | macro(4, 6) | {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "A^B"}]}})
    broken = whole[:at] + junk + whole[at + len(junk) :]
    assert post(web, (XML, "", broken), kind=XML).status_code < 500


def test_part10_is_still_part10(web):
    kind = 'multipart/related; type="application/dicom"; boundary=b'
    content = body((JSON, "", b"[]"), ("application/dicom", "", part10()))
    answer = web.post("/studies", content=content, headers={"Content-Type": kind})
    assert answer.status_code == 202
