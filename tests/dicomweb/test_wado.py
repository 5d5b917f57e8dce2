"""WADO-RS: objects leave as the bytes that came, in the forms that are accepted."""

import io
import zipfile

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit

from tests.dicomweb.builders import compressed, image, multiframe, part10
from tests.dicomweb.multipart_answers import parts

INSTANCE = "/studies/1.2/series/1.2.1/instances/1.2.1.1"
MULTIPART = 'multipart/related; type="application/dicom"'


@pytest.mark.parametrize(
    "accept", [MULTIPART, f"{MULTIPART}; transfer-syntax=*", "multipart/related", "*/*", ""]
)
def test_an_instance_comes_as_the_bytes_that_came(web, store, accept):
    data = part10()
    store(data)
    answer = web.get(INSTANCE, headers={"Accept": accept})
    assert answer.status_code == 200
    assert parts(answer) == [("application/dicom; transfer-syntax=1.2.840.10008.1.2.1", data)]
    assert answer.headers["content-length"] == str(len(answer.content))


def test_an_instance_comes_alone_when_asked_for(web, store):
    data = part10()
    store(data)
    answer = web.get(INSTANCE, headers={"Accept": "application/dicom"})
    assert answer.content == data
    assert answer.headers["content-type"] == "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"
    assert answer.headers["content-disposition"] == 'attachment; filename="1.2.1.1.dcm"'


def test_the_accept_parameter_overrides_the_header(web, store):
    store(part10())
    answer = web.get(f"{INSTANCE}?accept=application/dicom", headers={"Accept": MULTIPART})
    assert answer.headers["content-type"].startswith("application/dicom")


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("accept", [MULTIPART, "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"])
def test_implicit_and_big_endian_instances_come_as_explicit_little_endian(web, store, syntax, accept):
    order = ">u2" if syntax == ExplicitVRBigEndian else "<u2"
    store(part10(image(PixelData=np.arange(24).astype(order).tobytes()), syntax))
    answer = web.get(INSTANCE, headers={"Accept": accept})
    data = parts(answer)[0][1] if accept == MULTIPART else answer.content
    got = pydicom.dcmread(io.BytesIO(data))
    assert got.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert (got.PatientName, got.pixel_array.tolist()) == (
        "Doe^Jane",
        np.arange(24).reshape(4, 6).tolist(),
    )


@pytest.mark.parametrize(
    "accept",
    [
        "application/dicom; transfer-syntax=1.2.840.10008.1.2",
        "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.50",
        "image/png",
        "application/dicom+json",
    ],
)
def test_forms_that_are_not_available_are_answered_with_those_that_are(web, store, accept):
    store(part10())
    answer = web.get(INSTANCE, headers={"Accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (406, "application/problem+json")
    assert MULTIPART in answer.json()["detail"]


def test_a_study_comes_in_the_order_of_its_series_and_instances(web, store):
    files = [
        part10(
            SeriesInstanceUID=f"1.2.{series}", SOPInstanceUID=f"1.2.{series}.{number}", InstanceNumber=number
        )
        for series in (1, 2)
        for number in (3, 1, 2)
    ]
    store(*files)
    for path, count in (("/studies/1.2", 6), ("/studies/1.2/series/1.2.2", 3)):
        answer = web.get(path, headers={"Accept": MULTIPART})
        got = [data for _, data in parts(answer)]
        assert sorted(got) == sorted(file for file in files if count == 6 or b"1.2.2." in file)
        assert [pydicom.dcmread(io.BytesIO(data)).InstanceNumber for data in got] == [1, 2, 3] * (count // 3)


def test_a_study_in_several_transfer_syntaxes_names_each(web, store):
    store(
        part10(SOPInstanceUID="1.2.1.1"),
        compressed([b"\xff\xd8\xff\xd9"], JPEGBaseline8Bit, SOPInstanceUID="1.2.1.2", InstanceNumber=2),
        part10(image(SOPInstanceUID="1.2.1.3", InstanceNumber=3), ImplicitVRLittleEndian),
    )
    answer = web.get("/studies/1.2", headers={"Accept": f"{MULTIPART}; transfer-syntax=*"})
    assert [kind.rpartition("=")[2] for kind, _ in parts(answer)] == [
        ExplicitVRLittleEndian,
        JPEGBaseline8Bit,
        ExplicitVRLittleEndian,
    ]


def test_a_study_comes_as_a_zip_file(web, store):
    first, second = part10(), part10(SeriesInstanceUID="1.2.2", SOPInstanceUID="1.2.2.1")
    store(first, second)
    answer = web.get("/studies/1.2", headers={"Accept": "application/zip"})
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "1.2.1/1.2.1.1.dcm": first,
            "1.2.2/1.2.2.1.dcm": second,
        }


@pytest.mark.parametrize(
    "path",
    [
        "/studies/1.9",
        "/studies/1.2/series/1.9",
        "/studies/1.2/series/1.2.1/instances/1.9",
        "/studies/1.9/series/1.2.1/instances/1.2.1.1",
        "/studies/1.2/series/1.9/instances/1.2.1.1/metadata",
    ],
)
def test_what_is_not_stored_is_not_found(web, store, path):
    store(part10())
    answer = web.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert "1.9" in answer.json()["detail"]


@pytest.mark.parametrize("uid", ["abc", "1.2%2F..", "..%2f..%2fetc", "1" * 65, "1.2%00", "%F0%9F%92%A9"])
def test_what_is_no_uid_is_refused(web, uid):
    for path in (f"/studies/{uid}", f"/studies/{uid}/metadata", f"/studies/{uid}/series"):
        assert web.get(path).status_code in {400, 404}


def test_a_big_study_is_streamed(web, store):
    pixels = bytes(2 * 512 * 512)
    store(
        *(part10(SOPInstanceUID=f"1.2.1.{n}", Rows=512, Columns=512, PixelData=pixels) for n in range(1, 9))
    )
    with web.stream("GET", "/studies/1.2", headers={"Accept": MULTIPART}) as answer:
        sizes = [len(chunk) for chunk in answer.iter_raw()]
    assert sum(sizes) == int(answer.headers["content-length"]) > 8 * len(pixels)


def test_a_range_of_an_instance_comes_alone(web, store):
    data = part10()
    store(data)
    for asked, expected in (
        ("0-131", data[:132]),
        ("128-131", b"DICM"),
        ("100-", data[100:]),
        ("-10", data[-10:]),
    ):
        answer = web.get(INSTANCE, headers={"Accept": "application/dicom", "Range": f"bytes={asked}"})
        assert (answer.status_code, answer.content) == (206, expected)
    assert answer.headers["content-range"] == f"bytes {len(data) - 10}-{len(data) - 1}/{len(data)}"


@pytest.mark.parametrize(
    "asked", ["bytes=5-2", "bytes=0-1,4-5", "lines=1-2", "bytes=-", "bytes=x-y", "nonsense"]
)
def test_ranges_that_mean_nothing_are_passed_over(web, store, asked):
    data = part10()
    store(data)
    answer = web.get(INSTANCE, headers={"Accept": "application/dicom", "Range": asked})
    assert (answer.status_code, answer.content) == (200, data)


@pytest.mark.parametrize("asked", ["bytes=999999-", "bytes=-0", "bytes=99999999999999999-"])
def test_a_range_outside_is_not_satisfiable(web, store, asked):
    data = part10()
    store(data)
    answer = web.get(INSTANCE, headers={"Accept": "application/dicom", "Range": asked})
    assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{len(data)}")


def test_a_range_of_what_has_changed_is_the_whole(web, store):
    store(part10())
    headers = {"Accept": "application/dicom", "Range": "bytes=0-3", "If-Range": '"other"'}
    assert web.get(INSTANCE, headers=headers).status_code == 200


@pytest.mark.parametrize("path", [INSTANCE, f"{INSTANCE}/metadata", f"{INSTANCE}/frames/1"])
def test_what_the_client_has_is_not_sent_again(web, store, path):
    store(part10())
    first = web.get(
        path, headers={"Accept": "application/dicom, application/dicom+json, application/octet-stream"}
    )
    again = web.get(path, headers={**first.request.headers, "If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = web.get(path, headers={**first.request.headers, "If-None-Match": '"other", W/"more"'})
    assert other.status_code == 200


@pytest.mark.parametrize(
    "path", ["/studies", "/studies/1.2", INSTANCE, f"{INSTANCE}/metadata", f"{INSTANCE}/frames/1"]
)
def test_head_tells_what_get_would_send(web, store, path):
    store(part10())
    head, got = web.head(path), web.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"].partition(";")[0] == got.headers["content-type"].partition(";")[0]


@pytest.mark.parametrize(
    ("path", "left"), [(INSTANCE, 2), ("/studies/1.2/series/1.2.1", 1), ("/studies/1.2", 0)]
)
def test_what_is_deleted_is_gone(web, store, path, left):
    store(
        part10(),
        part10(SOPInstanceUID="1.2.1.2"),
        part10(SeriesInstanceUID="1.2.2", SOPInstanceUID="1.2.2.1"),
    )
    answer = web.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert len(web.get("/instances").json()) == left
    assert web.delete(path).status_code == 404


def test_a_deflated_instance_comes_as_it_is(web, store):
    data = part10(image(), "1.2.840.10008.1.2.1.99")
    store(data)
    assert web.get(INSTANCE, headers={"Accept": "application/dicom"}).content == data


def test_a_multiframe_comes_whole(web, store):
    data = multiframe(5)
    store(data)
    assert web.get(INSTANCE, headers={"Accept": "application/dicom"}).content == data
