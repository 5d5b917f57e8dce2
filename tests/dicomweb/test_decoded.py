"""Compressed and deflated objects as Explicit VR Little Endian, for who asks for it by name."""

import io
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGLSLossless,
)

from tests.dicomweb.builders import compressed, image, part10
from tests.dicomweb.multipart_answers import parts

INSTANCE = "/studies/1.2/series/1.2.1/instances/1.2.1.1"
EXPLICIT = f"application/dicom; transfer-syntax={ExplicitVRLittleEndian}"
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # real files break their VRs


def encoded(samples: np.ndarray) -> bytes:
    data = imagecodecs.jpegls_encode(samples)
    return data + b"\0" * (len(data) % 2)


def got(web, url: str = INSTANCE) -> pydicom.Dataset:
    answer = web.get(url, headers={"Accept": EXPLICIT})
    assert (answer.status_code, answer.headers["content-type"]) == (200, EXPLICIT), answer.text
    return pydicom.dcmread(io.BytesIO(answer.content))


def test_a_compressed_multiframe_is_decoded(web, store):
    samples = np.random.default_rng(1).integers(0, 4000, (3, 4, 6), dtype=np.uint16)
    store(compressed([encoded(each) for each in samples], JPEGLSLossless))
    ds = got(web)
    assert ds.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert np.array_equal(ds.pixel_array, samples)
    assert (ds.PatientName, ds["PixelData"].VR, ds.StudyInstanceUID) == ("Doe^Jane", "OW", "1.2")


def test_decoded_colour_is_rgb_and_padded(web, store):
    samples = np.random.default_rng(1).integers(0, 255, (3, 5, 3), dtype=np.uint8)
    colour = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
    depth = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "Rows": 3, "Columns": 5}
    store(compressed([encoded(samples)], JPEGLSLossless, **colour, **depth))
    ds = got(web)
    assert np.array_equal(ds.pixel_array, samples)
    assert (len(ds.PixelData), ds.PhotometricInterpretation) == (46, "RGB")


def test_the_stored_form_is_given_unless_another_is_named(web, store):
    data = compressed([encoded(np.zeros((4, 6), np.uint16))], JPEGLSLossless)
    store(data)
    for accept in (
        "application/dicom",
        "application/dicom; transfer-syntax=*",
        f"{EXPLICIT}; q=0.1, application/dicom",
    ):
        assert web.get(INSTANCE, headers={"Accept": accept}).content == data


def test_every_object_of_a_study_is_decoded(web, store):
    store(
        part10(), compressed([encoded(np.ones((4, 6), np.uint16))], JPEGLSLossless, SOPInstanceUID="1.2.1.2")
    )
    accept = f'multipart/related; type="application/dicom"; transfer-syntax={ExplicitVRLittleEndian}'
    syntaxes = [kind for kind, _ in parts(web.get("/studies/1.2", headers={"Accept": accept}))]
    assert syntaxes == [EXPLICIT, EXPLICIT]


def test_a_deflated_object_is_inflated(web, store):
    ds = image(Rows=100, Columns=100, PixelData=bytes(20_000))
    store(part10(ds, DeflatedExplicitVRLittleEndian))
    inflated = got(web)
    assert inflated.PixelData == bytes(20_000)
    assert inflated.PatientName == "Doe^Jane"


def test_what_cannot_be_decoded_is_answered_with_the_reason(web, store):
    store(compressed([b"\xff\xd8broken\xff\xd9"], JPEGBaseline8Bit))
    answer = web.get(INSTANCE, headers={"Accept": EXPLICIT})
    assert (answer.status_code, "only available as stored" in answer.json()["detail"]) == (406, True)


def test_forms_of_one_object_have_tags_of_their_own(web, store):
    store(compressed([encoded(np.zeros((4, 6), np.uint16))], JPEGLSLossless))
    stored, decoded = (
        web.get(INSTANCE, headers={"Accept": accept}) for accept in ("application/dicom", EXPLICIT)
    )
    assert stored.headers["etag"] != decoded.headers["etag"]
    again = web.get(INSTANCE, headers={"Accept": EXPLICIT, "If-None-Match": decoded.headers["etag"]})
    assert again.status_code == 304


def test_one_slice_in_many_transfer_syntaxes_is_the_same_when_decoded(web, store, test_data: Path):
    """Lossless ones are equal to the native one, whatever they are stored in."""
    slices: dict[str, np.ndarray] = {}
    for path in sorted((test_data / "dicom" / "ts-matrix").iterdir()):
        (accepted,) = store(path.read_bytes())
        key = accepted.instance.key
        url = f"/studies/{key.study}/series/{key.series}/instances/{key.sop}"
        slices[accepted.instance.transfer_syntax] = got(web, url).pixel_array
        web.delete(url)
    native = slices[ExplicitVRLittleEndian]
    lossy = {JPEGBaseline8Bit, "1.2.840.10008.1.2.4.91"}
    assert len(slices) == 9
    for syntax in slices.keys() - lossy:
        assert np.array_equal(slices[syntax], native), syntax
