"""Frames and objects in transfer syntaxes they are not stored in."""

import io

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.encaps import generate_frames
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit, JPEGLSLossless

from dicomweb.cache import ByteCache
from storage.pixels.encode import ENCODERS, JPEG_BASELINE, LOSSY, RLE
from tests.dicomweb.builders import compressed, image, multiframe, part10
from tests.dicomweb.multipart_answers import parts

INSTANCE = "/studies/1.2/series/1.2.1/instances/1.2.1.1"
OCTETS = "application/octet-stream"
PREFIX = "1.2.840.10008.1.2.4"
DECODE = {
    f"{PREFIX}.70": imagecodecs.jpeg8_decode,
    f"{PREFIX}.80": imagecodecs.jpegls_decode,
    f"{PREFIX}.90": imagecodecs.jpeg2k_decode,
    f"{PREFIX}.201": imagecodecs.htj2k_decode,
    f"{PREFIX}.202": imagecodecs.htj2k_decode,
    f"{PREFIX}.203": imagecodecs.htj2k_decode,
    f"{PREFIX}.110": imagecodecs.jpegxl_decode,
    RLE: lambda stream: np.frombuffer(imagecodecs.dicomrle_decode(stream, "<u2"), "<u2").reshape(4, 6),
}
BYTES = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
COLOUR = BYTES | {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}


def frames(web, numbers: str, accept: str):
    return web.get(f"{INSTANCE}/frames/{numbers}", headers={"Accept": accept})


def expected(number: int) -> np.ndarray:
    return (np.arange(24) + 100 * number).astype("<u2").reshape(4, 6)


@pytest.mark.parametrize("uid", DECODE)
def test_native_frames_come_encoded(web, store, uid):
    store(multiframe(3))
    for media in (OCTETS, "*/*"):
        accept = f'multipart/related; type="{media}"; transfer-syntax={uid}'
        found = parts(frames(web, "3,1", accept))
        assert [kind.partition("; ")[2] for kind, _ in found] == [f"transfer-syntax={uid}"] * 2
        for (_, stream), number in zip(found, (3, 1), strict=True):
            assert np.array_equal(DECODE[uid](stream), expected(number))


@pytest.mark.parametrize(
    ("media", "uid"),
    [
        ("image/jpeg", f"{PREFIX}.70"),
        ("image/jls", f"{PREFIX}.80"),
        ("image/jp2", f"{PREFIX}.90"),
        ("image/jphc", f"{PREFIX}.201"),
        ("image/jxl", f"{PREFIX}.110"),
        ("image/dicom-rle", RLE),
    ],
)
def test_a_media_type_alone_means_its_usual_transfer_syntax(web, store, media, uid):
    store(multiframe(1))
    assert frames(web, "1", media).headers["content-type"] == f"{media}; transfer-syntax={uid}"


@pytest.mark.parametrize("accept", ["image/x-jls", 'multipart/related; type="image/x-jls"'])
def test_older_names_of_media_types_are_understood(web, store, accept):
    store(multiframe(1))
    assert "image/jls" in frames(web, "1", accept).headers["content-type"]


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, "1.2.840.10008.1.2.1.99"])
def test_all_native_forms_can_be_encoded(web, store, syntax):
    pixels = np.arange(24).astype(">u2" if syntax == ExplicitVRBigEndian else "<u2").tobytes()
    store(part10(image(PixelData=pixels), syntax))
    assert np.array_equal(
        imagecodecs.jpegls_decode(frames(web, "1", "image/jls").content).ravel(), np.arange(24)
    )


def test_what_is_stored_compressed_is_given_as_it_is_where_it_is_taken(web, store):
    stream = imagecodecs.jpegls_encode(expected(1)) + b"\0"
    store(compressed([stream[: len(stream) & ~1]], JPEGLSLossless))
    for accept in ("*/*", "image/jls", f"{OCTETS}; transfer-syntax=*", "image/jphc, image/jls"):
        assert frames(web, "1", accept).content[:10] == stream[:10]
    other = frames(web, "1", f"image/jphc; transfer-syntax={PREFIX}.202")
    assert np.array_equal(imagecodecs.htj2k_decode(other.content), expected(1))


def test_eight_bits_come_as_jpeg_baseline_where_asked_by_name(web, store):
    store(part10(PixelData=bytes(range(100, 124)), **BYTES))
    answer = frames(web, "1", f"image/jpeg; transfer-syntax={JPEG_BASELINE}")
    assert answer.headers["content-type"] == f"image/jpeg; transfer-syntax={JPEG_BASELINE}"
    assert (
        np.abs(imagecodecs.jpeg8_decode(answer.content).ravel().astype(int) - np.arange(100, 124)).max() < 8
    )


def test_what_cannot_be_encoded_is_refused_with_the_reason(web, store):
    store(part10())
    answer = frames(web, "1", f"image/jpeg; transfer-syntax={JPEG_BASELINE}")
    assert (answer.status_code, "1 to 8 bits" in answer.json()["detail"]) == (406, True)


def test_what_cannot_be_encoded_comes_in_the_next_form_that_is_taken(web, store):
    store(part10(BitsAllocated=1, BitsStored=1, HighBit=0, PixelData=bytes(4)))
    assert frames(web, "1", "image/jphc").status_code == 406
    answer = frames(web, "1", f"image/jphc, {OCTETS};q=0.5")
    assert answer.headers["content-type"] == f"{OCTETS}; transfer-syntax=1.2.840.10008.1.2.1"


def test_exact_ybr_is_not_made_rgb(web, store):
    store(part10(PixelData=bytes(72), **COLOUR | {"PhotometricInterpretation": "YBR_FULL"}))
    assert frames(web, "1", "image/jls").status_code == 406


def test_baseline_jpeg_is_not_named_lossless(web, store):
    """What is stored with loss is what image/jpeg gives, not an encoding of what is left of it."""
    stream = imagecodecs.jpeg8_encode(np.full((4, 6), 90, np.uint8), level=90)
    store(compressed([stream + b"\0" * (len(stream) % 2)], JPEGBaseline8Bit, **BYTES))
    assert frames(web, "1", "image/jpeg").headers["content-type"].endswith(JPEG_BASELINE)
    lossless = frames(web, "1", f"image/jpeg; transfer-syntax={PREFIX}.70")
    assert np.array_equal(imagecodecs.jpeg8_decode(lossless.content), imagecodecs.jpeg8_decode(stream))


@pytest.mark.parametrize("uid", [each for each in ENCODERS if each not in LOSSY])
def test_objects_come_encoded_with_all_else_as_it_was(web, store, uid):
    original = pydicom.dcmread(io.BytesIO(multiframe(3)))
    store(multiframe(3))
    ((kind, data),) = parts(
        web.get(
            INSTANCE,
            headers={"Accept": f'multipart/related; type="application/dicom"; transfer-syntax={uid}'},
        )
    )
    assert kind == f"application/dicom; transfer-syntax={uid}"
    ds = pydicom.dcmread(io.BytesIO(data))
    assert ds.file_meta.TransferSyntaxUID == uid
    assert ds.file_meta.MediaStorageSOPInstanceUID == original.SOPInstanceUID
    streams = list(generate_frames(ds.PixelData, number_of_frames=3))
    assert [np.array_equal(DECODE[uid](each), expected(n)) for n, each in enumerate(streams, 1)] == [True] * 3
    del ds.PixelData, original.PixelData
    assert ds == original


@pytest.mark.parametrize(("uid", "space"), [(f"{PREFIX}.90", "YBR_RCT"), (f"{PREFIX}.80", "RGB")])
def test_colour_says_what_the_stream_holds(web, store, uid, space):
    pixels = np.arange(72, dtype="u1").reshape(3, 4, 6)
    store(part10(PixelData=pixels.tobytes(), **COLOUR | {"PlanarConfiguration": 1}))
    data = web.get(INSTANCE, headers={"Accept": f"application/dicom; transfer-syntax={uid}"}).content
    ds = pydicom.dcmread(io.BytesIO(data))
    assert (ds.PhotometricInterpretation, ds.PlanarConfiguration) == (space, 0)
    (stream,) = generate_frames(ds.PixelData, number_of_frames=1)
    assert np.array_equal(DECODE[uid](stream), np.moveaxis(pixels, 0, -1))


def test_a_study_comes_encoded_but_for_what_is_no_image(web, store):
    report = image(SOPInstanceUID="1.2.1.2", InstanceNumber=2)
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(report, keyword)
    store(part10(), part10(report))
    accept = f'multipart/related; type="application/dicom"; transfer-syntax={PREFIX}.201'
    found = parts(web.get("/studies/1.2", headers={"Accept": accept}))
    assert [kind.rpartition("=")[2] for kind, _ in found] == [f"{PREFIX}.201", "1.2.840.10008.1.2.1"]
    assert pydicom.dcmread(io.BytesIO(found[1][1])).SOPInstanceUID == "1.2.1.2"


def test_what_is_no_image_leaves_its_compressed_transfer_syntax(web, store):
    """Some writers keep the transfer syntax of the images for a report on them."""
    report = image()
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(report, keyword)
    store(part10(report, JPEGLSLossless))
    accept = "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"
    ds = pydicom.dcmread(io.BytesIO(web.get(INSTANCE, headers={"Accept": accept}).content))
    assert ds.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert ds.SOPInstanceUID == "1.2.1.1"


def test_objects_do_not_come_compressed_with_loss(web, store):
    store(part10(PixelData=bytes(24), **BYTES))
    accept = f"application/dicom; transfer-syntax={JPEG_BASELINE}"
    assert web.get(INSTANCE, headers={"Accept": accept}).status_code == 406


def test_wado_uri_gives_encoded_objects(web, store):
    store(part10())
    query = f"requestType=WADO&objectUID=1.2.1.1&contentType=application/dicom&transferSyntax={PREFIX}.80"
    address = str(web.base_url).replace("/dicom-web/", "/wado").rstrip("/")
    ds = pydicom.dcmread(io.BytesIO(web.get(f"{address}?{query}").content))
    assert ds.file_meta.TransferSyntaxUID == JPEGLSLossless


def test_each_encoding_has_a_tag_of_its_own(web, store):
    store(part10())
    tags = {frames(web, "1", f"{OCTETS}; transfer-syntax={uid}").headers["etag"] for uid in DECODE}
    assert len(tags) == len(DECODE)


def test_the_cache_keeps_what_was_asked_for_last_within_its_size():
    made = []

    def get(number: int, size: int = 20) -> bytes:
        return cache.get(("digest", number, "1.2"), lambda: made.append(number) or bytes(size))

    cache = ByteCache(max_bytes=100)
    for number in (1, 2, 3, 4, 5, 1, 6, 1, 2):
        assert get(number) == bytes(20)
    assert made == [1, 2, 3, 4, 5, 6, 2]
    get(7, 26)
    get(7, 26)
    assert made[-2:] == [7, 7]  # too big to be kept
