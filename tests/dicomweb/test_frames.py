"""Frames and bulk data: native little endian, compressed as stored, in the forms viewers ask for."""

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGLSLossless,
)

from tests.dicomweb.builders import compressed, image, multiframe, part10
from tests.dicomweb.multipart_answers import parts

INSTANCE = "/studies/1.2/series/1.2.1/instances/1.2.1.1"
OCTETS = "application/octet-stream"
OHIF = f'multipart/related; type="{OCTETS}"; transfer-syntax="*"'
NATIVE = f"{OCTETS}; transfer-syntax=1.2.840.10008.1.2.1"


def frames(web, numbers: str, accept: str = OHIF):
    return web.get(f"{INSTANCE}/frames/{numbers}", headers={"Accept": accept})


def native(number: int) -> bytes:
    return (np.arange(24) + 100 * number).astype("<u2").tobytes()


@pytest.mark.parametrize(
    "accept", [OHIF, OHIF.replace('"', ""), 'multipart/related; type="*/*"', "multipart/related"]
)
def test_native_frames_come_in_the_order_asked_for(web, store, accept):
    store(multiframe(3))
    assert parts(frames(web, "3,1", accept)) == [(NATIVE, native(3)), (NATIVE, native(1))]
    assert parts(frames(web, "2", accept)) == [(NATIVE, native(2))]


def test_commas_may_be_encoded(web, store):
    store(multiframe(3))
    assert len(parts(frames(web, "1%2C2"))) == 2


@pytest.mark.parametrize("accept", ["*/*", OCTETS, f"{OCTETS}; transfer-syntax=*"])
def test_one_frame_comes_alone_to_who_does_not_ask_for_parts(web, store, accept):
    store(multiframe(3))
    answer = frames(web, "2", accept)
    assert (answer.headers["content-type"], answer.content) == (NATIVE, native(2))


def test_several_frames_are_not_given_as_one_part(web, store):
    store(multiframe(3))
    assert frames(web, "1,2", OCTETS).status_code == 406
    assert len(parts(frames(web, "1,2", "*/*"))) == 2


@pytest.mark.parametrize("syntax", [ExplicitVRBigEndian, ImplicitVRLittleEndian, "1.2.840.10008.1.2.1.99"])
def test_native_frames_are_little_endian_whatever_is_stored(web, store, syntax):
    pixels = np.arange(48).astype(">u2" if syntax == ExplicitVRBigEndian else "<u2").tobytes()
    store(part10(image(NumberOfFrames=2, PixelData=pixels), syntax))
    expected = np.arange(24, 48).astype("<u2").tobytes()
    assert parts(frames(web, "2")) == [(NATIVE, expected)]


def test_bytes_of_big_endian_words_are_put_in_order(web, store):
    """8-bit samples in words (OW): frames of odd length start within a word."""
    samples = np.arange(3 * 15, dtype=np.uint8)
    padded = np.append(samples, np.uint8(0)).view("<u2").astype(">u2").tobytes()
    small = {"Rows": 3, "Columns": 5, "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
    store(part10(image(NumberOfFrames=3, PixelData=padded, **small), ExplicitVRBigEndian))
    for number in (1, 2, 3):
        assert frames(web, str(number), OCTETS).content == samples[15 * number - 15 : 15 * number].tobytes()


def test_frames_of_single_bits_start_at_the_first_bit(web, store):
    pixels = np.random.default_rng(1).integers(0, 2, (5, 3, 5), dtype=np.uint8)
    packed = np.packbits(pixels.ravel(), bitorder="little").tobytes()
    small = {"Rows": 3, "Columns": 5, "BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}
    store(part10(NumberOfFrames=5, PixelData=packed, **small))
    for number, frame in enumerate(pixels, start=1):
        data = np.frombuffer(frames(web, str(number), OCTETS).content, np.uint8)
        assert np.unpackbits(data, bitorder="little")[:15].tolist() == frame.ravel().tolist()
        assert len(data) == 2


JPEG = [b"\xff\xd8first\xff\xd9\0", b"\xff\xd8second\xff\xd9"]


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (OHIF, OCTETS),
        ('multipart/related; type="image/jpeg"', "image/jpeg"),
        ('multipart/related; type="image/jpeg"; transfer-syntax=1.2.840.10008.1.2.4.50', "image/jpeg"),
        ('multipart/related; type="*/*"', "image/jpeg"),
        ('multipart/related; type="image/jpx", multipart/related; type="image/jpeg"; q=0.5', "image/jpeg"),
    ],
)
def test_compressed_frames_come_as_stored(web, store, accept, media):
    store(compressed(JPEG, JPEGBaseline8Bit))
    kind = f"{media}; transfer-syntax={JPEGBaseline8Bit}"
    assert parts(frames(web, "1,2", accept)) == [(kind, JPEG[0]), (kind, JPEG[1])]


def test_compressed_frames_are_decoded_for_who_asks_for_plain_octets(web, store):
    samples = [np.arange(24, dtype=np.uint16).reshape(4, 6) * factor for factor in (1, 100)]
    encoded = [imagecodecs.jpegls_encode(each) for each in samples]
    store(compressed([each + b"\0" * (len(each) % 2) for each in encoded], JPEGLSLossless))
    for accept in (
        f'multipart/related; type="{OCTETS}"',
        f"{OHIF.partition('; transfer')[0]}; transfer-syntax=1.2.840.10008.1.2.1",
    ):
        assert parts(frames(web, "1,2", accept)) == [
            (NATIVE, each.astype("<u2").tobytes()) for each in samples
        ]


def test_decoded_colour_keeps_the_planar_configuration_of_the_data_set(web, store):
    colours = np.random.default_rng(1).integers(0, 255, (4, 6, 3), dtype=np.uint8)
    encoded = imagecodecs.jpegls_encode(colours)
    encoded += b"\0" * (len(encoded) % 2)
    colour = {
        "SamplesPerPixel": 3,
        "PhotometricInterpretation": "RGB",
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
    }
    store(
        compressed([encoded], JPEGLSLossless, PlanarConfiguration=0, **colour),
        compressed([encoded], JPEGLSLossless, PlanarConfiguration=1, SOPInstanceUID="1.2.1.2", **colour),
    )
    assert frames(web, "1", NATIVE).content == colours.tobytes()
    planar = web.get(f"{INSTANCE[:-1]}2/frames/1", headers={"Accept": NATIVE})
    assert planar.content == colours.transpose(2, 0, 1).tobytes()


def test_what_cannot_be_decoded_is_answered_with_the_reason(web, store):
    store(compressed(JPEG, JPEGBaseline8Bit))
    answer = frames(web, "1", NATIVE)
    assert answer.status_code == 406
    assert "frame 1 is only available as stored" in answer.json()["detail"]


@pytest.mark.parametrize(
    "accept", ["image/png", "multipart/related; type=image/bmp", "multipart/related; type=video/mp4"]
)
def test_forms_of_frames_that_are_not_available_name_those_that_are(web, store, accept):
    store(compressed(JPEG, JPEGBaseline8Bit))
    answer = frames(web, "1", accept)
    assert answer.status_code == 406
    assert (
        f'multipart/related; type="image/jpeg"; transfer-syntax={JPEGBaseline8Bit}' in answer.json()["detail"]
    )


@pytest.mark.parametrize("numbers", ["4", "0", "1,4", "999999999"])
def test_a_frame_that_does_not_exist_is_answered_with_the_number_of_frames(web, store, numbers):
    store(multiframe(3))
    answer = frames(web, numbers)
    assert answer.status_code == 404
    assert "the instance has 3" in answer.json()["detail"]


@pytest.mark.parametrize("numbers", ["x", "1,", "-1", "1;2", "1.5", "9" * 30, ","])
def test_malformed_lists_are_refused(web, store, numbers):
    store(multiframe(3))
    assert frames(web, numbers).status_code == 400


def test_an_instance_without_pixels_has_no_frames(web, store):
    ds = image()
    del ds.PixelData
    store(part10(ds))
    answer = frames(web, "1")
    assert (answer.status_code, "no frames" in answer.json()["detail"]) == (404, True)


def bulk_url(web, path: str = "7FE00010") -> str:
    """The address of a big value as the metadata names it."""
    attribute: dict = web.get(f"{INSTANCE}/metadata").json()[0]
    *steps, tag = path.split("/")
    for sequence, item in zip(steps[::2], steps[1::2], strict=True):
        attribute = attribute[sequence]["Value"][int(item)]
    return attribute[tag]["BulkDataURI"]


def test_addresses_of_big_values_resolve(web, store):
    store(multiframe(3))
    url = bulk_url(web)
    assert url == f"{str(web.base_url).rstrip('/')}{INSTANCE}/bulkdata/7FE00010"
    answer = web.get(url)
    assert (answer.headers["content-type"], answer.content) == (OCTETS, native(1) + native(2) + native(3))
    assert parts(web.get(url, headers={"Accept": f'multipart/related; type="{OCTETS}"'})) == [
        (OCTETS, answer.content)
    ]
    part = web.get(url, headers={"Range": "bytes=48-95"})
    assert (part.status_code, part.content) == (206, native(2))


def test_big_values_within_sequences_resolve(web, store):
    table = np.arange(4096, dtype="<u2").tobytes()
    ds = image(ModalityLUTSequence=[pydicom.Dataset()])
    ds.ModalityLUTSequence[0].LUTDescriptor = [4096, 0, 16]
    ds.ModalityLUTSequence[0].add_new("LUTData", "OW", table)
    store(part10(ds))
    assert web.get(bulk_url(web, "00283000/0/00283006")).content == table


@pytest.mark.parametrize("asked", ["0-", "1-2", "3-3", "5-47", "-3"])
def test_ranges_of_big_endian_values_are_ranges_of_little_endian_ones(web, store, asked):
    store(part10(image(PixelData=np.arange(24).astype(">u2").tobytes()), ExplicitVRBigEndian))
    first, last = (int(end) if end else None for end in asked.split("-"))
    expected = np.arange(24).astype("<u2").tobytes()
    expected = expected[-last:] if first is None else expected[first : None if last is None else last + 1]
    assert web.get(bulk_url(web), headers={"Range": f"bytes={asked}"}).content == expected


def test_encapsulated_pixel_data_comes_frame_by_frame(web, store):
    store(compressed(JPEG, JPEGBaseline8Bit))
    answer = web.get(bulk_url(web), headers={"Accept": "multipart/related; type=*/*"})
    assert [data for _, data in parts(answer)] == JPEG


def test_a_big_value_of_a_deflated_object_is_inflated(web, store):
    store(part10(image(Rows=60, Columns=60, PixelData=bytes(range(200)) * 36), "1.2.840.10008.1.2.1.99"))
    assert web.get(bulk_url(web), headers={"Range": "bytes=200-399"}).content == bytes(range(200))


@pytest.mark.parametrize("path", ["00100010", "7FE00010/0/7FE00010", "x", "../metadata", "%2e%2e/metadata"])
def test_a_value_that_is_not_big_has_no_address(web, store, path):
    store(part10())
    assert web.get(f"{INSTANCE}/bulkdata/{path}").status_code in {200, 404} - (
        {200} if "metadata" not in path else set()
    )


def test_explicit_syntax_is_named(web, store):
    store(multiframe(1))
    assert frames(web, "1", OCTETS).headers["content-type"].endswith(ExplicitVRLittleEndian)
