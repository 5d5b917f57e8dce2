"""All big values of a study, series or instance in one answer."""

import email

import pytest

from tests.dicomweb.builders import compressed, image, multiframe, part10

SERIES = "/studies/1.2/series/1.2.1"
INSTANCE = f"{SERIES}/instances/1.2.1.1"
JPEG = "1.2.840.10008.1.2.4.50"


def parts(answer) -> list[tuple[str, str, bytes]]:
    """Content-Type, Content-Location and content."""
    assert answer.status_code == 200, answer.text
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    whole = email.message_from_bytes(head + answer.content)
    return [
        (each["Content-Type"], each["Content-Location"], each.get_payload(decode=True))
        for each in whole.get_payload()
    ]


@pytest.mark.parametrize("path", ["/studies/1.2", SERIES])
def test_every_value_comes_under_the_address_that_metadata_has(web, store, path):
    store(part10(), part10(SOPInstanceUID="1.2.1.2", InstanceNumber=2, ICCProfile=bytes(2000)))
    addresses = {
        element["BulkDataURI"]
        for each in web.get(f"{path}/metadata").json()
        for element in each.values()
        if "BulkDataURI" in element
    }
    found = parts(web.get(f"{path}/bulkdata"))
    assert {location for _, location, _ in found} == addresses
    assert len(found) == 3
    assert {kind for kind, _, _ in found} == {"application/octet-stream"}
    for _, location, content in found:
        assert web.get(location, headers={"Accept": "application/octet-stream"}).content == content


def test_pixel_data_alone(web, store):
    store(part10(ICCProfile=bytes(2000)), multiframe(3, SOPInstanceUID="1.2.1.2", InstanceNumber=2))
    first, second = parts(web.get("/studies/1.2/pixeldata"))
    assert first[1].endswith("/instances/1.2.1.1/bulkdata/7FE00010")
    assert first[2] == image().PixelData
    assert len(second[2]) == 3 * 48


def test_compressed_frames_are_parts_of_the_same_address(web, store):
    frames = [b"\xff\xd8first\xff\xd9", b"\xff\xd8second.\xff\xd9"]
    store(compressed(frames, JPEG))
    answer = web.get(f"{INSTANCE}/pixeldata", headers={"Accept": 'multipart/related; type="image/jpeg"'})
    found = parts(answer)
    assert [content.rstrip(b"\0") for _, _, content in found] == [each.rstrip(b"\0") for each in frames]
    (location,) = {location for _, location, _ in found}
    assert location == f"{str(web.base_url).rstrip('/')}{INSTANCE}/bulkdata/7FE00010"


def test_what_the_client_does_not_take_is_left_out(web, store):
    store(part10(ICCProfile=bytes(2000)))
    store(compressed([b"\xff\xd8first\xff\xd9\0"], JPEG, SOPInstanceUID="1.2.1.2", InstanceNumber=2))
    jpeg = {"Accept": 'multipart/related; type="image/jpeg"; transfer-syntax=*'}
    assert [
        kind.partition(";")[0] for kind, _, _ in parts(web.get("/studies/1.2/bulkdata", headers=jpeg))
    ] == ["image/jpeg"]
    assert web.get("/studies/1.2/bulkdata", headers={"Accept": "text/html"}).status_code == 406


def test_no_bulk_data_is_said(web, store):
    ds = image()
    del ds.PixelData
    store(part10(ds))
    assert web.get("/studies/1.2/pixeldata").status_code == 404
    assert web.get("/studies/9/bulkdata").status_code == 404
