"""Where frames lie: every file of the test data against pydicom, and each way of telling fragments apart."""

import struct
import warnings
import zlib
from array import array
from itertools import islice
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataelem import DataElement
from pydicom.encaps import generate_frames
from pydicom.uid import MPEG4HP41, ExplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless

from storage.errors import InvalidInstance, UnknownInstance
from storage.header import Header, read_header
from storage.layout import Layout
from tests.storage.data_sets import encapsulated, instance, labelled, part10

JPEG = (b"\xff\xd8 one \xff\xd9", b"\xff\xd8 two ", b"also two \xff\xd9", b"\xff\xd8 three\xff\xd9\0")


def read(tmp_path: Path, data: bytes) -> Header:
    path = tmp_path / "instance.dcm"
    path.write_bytes(data)
    return read_header(path)


def frames(data: bytes, layout: Layout) -> list[bytes]:
    return [
        b"".join(data[offset : offset + length] for offset, length in layout.frame(number))
        for number in range(1, layout.number_of_frames + 1)
    ]


def pixels_of(ds: pydicom.Dataset) -> DataElement | None:
    keywords = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
    return next((ds[keyword] for keyword in keywords if keyword in ds), None)


def expected_frames(ds: pydicom.Dataset, pixels: DataElement) -> list[bytes]:
    """Whole-byte frames of a data set as pydicom or, when native, arithmetic finds them."""
    count = int(ds.get("NumberOfFrames") or 1)
    if pixels.is_undefined_length:
        table = ds.get("ExtendedOffsetTable")
        extended = (table, ds.ExtendedOffsetTableLengths) if table else None
        return list(generate_frames(pixels.value, number_of_frames=count, extended_offsets=extended))
    samples = 2 if ds.PhotometricInterpretation == "YBR_FULL_422" else ds.SamplesPerPixel
    size = ds.Rows * ds.Columns * samples * ds.BitsAllocated // 8
    return [pixels.value[at * size : (at + 1) * size] for at in range(count)]


def one_bit_pixels(data: bytes, layout: Layout, number: int) -> str:
    """The pixels of a 1-bit frame as digits, by the layout."""
    ((offset, length),) = layout.frame(number)
    bits = "".join(f"{byte:08b}"[::-1] for byte in data[offset : offset + length])
    first = layout.bit_offset(number)
    return bits[first : first + layout.frame_bits]


def test_frames_of_every_valid_file_are_those_of_pydicom(test_data):
    seen = {"native": 0, "encapsulated": 0, "bits": 0}
    for path in sorted(path for path in (test_data / "dicom").rglob("*") if path.is_file()):
        try:
            header = read_header(path)
        except InvalidInstance:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ds = pydicom.dcmread(path)
        data, layout = path.read_bytes(), header.layout
        if layout.deflated:
            data = zlib.decompressobj(-15).decompress(data[header.dataset_offset :])
        pixels = pixels_of(ds)
        if pixels is None:
            assert layout.number_of_frames == 0, path
        elif ds.BitsAllocated == 1 and not pixels.is_undefined_length:
            seen["bits"] += 1
            bits = "".join(f"{byte:08b}"[::-1] for byte in pixels.value)
            count = ds.get("NumberOfFrames", 1)
            size = ds.Rows * ds.Columns
            ours = [one_bit_pixels(data, layout, number) for number in range(1, count + 1)]
            assert ours == [bits[at * size : (at + 1) * size] for at in range(count)], path
        else:
            seen["encapsulated" if pixels.is_undefined_length else "native"] += 1
            assert frames(data, layout) == expected_frames(ds, pixels), path
    assert seen["native"] > 100
    assert seen["encapsulated"] > 20
    assert seen["bits"] > 5


def native(bits: int, pixels: bytes, **attributes: object) -> bytes:
    ds = instance(Rows=3, Columns=3, SamplesPerPixel=1, BitsAllocated=bits, **attributes)
    ds.add_new("PixelData", "OB", pixels)
    return part10(ds)


def test_one_bit_frames_follow_each_other_within_a_byte(tmp_path):
    pixels = 0b000000000_111111111_101010101
    data = native(1, pixels.to_bytes(4, "little"), NumberOfFrames=3)

    layout = read(tmp_path, data).layout

    assert [layout.bit_offset(number) for number in (1, 2, 3)] == [0, 1, 2]
    assert [one_bit_pixels(data, layout, number) for number in (1, 2, 3)] == ["101010101", "1" * 9, "0" * 9]


def test_fewer_pixels_than_declared_give_fewer_frames_and_a_warning(tmp_path):
    header = read(tmp_path, native(8, bytes(20), NumberOfFrames=1_000_000))

    assert header.layout.number_of_frames == 2
    assert header.warnings == ("(7FE0,0010): 20 bytes hold 2 of 1000000 frames",)


@pytest.mark.parametrize("missing", ["Rows", "Columns", "BitsAllocated"])
def test_native_frames_of_unknown_size_are_not_guessed(tmp_path, missing):
    ds = instance(Rows=3, Columns=3, SamplesPerPixel=1, BitsAllocated=8)
    del ds[missing]
    ds.add_new("PixelData", "OB", bytes(10))

    assert read(tmp_path, part10(ds)).layout.number_of_frames == 0


def test_subsampled_colour_takes_two_samples_a_pixel(tmp_path):
    ds = instance(Rows=2, Columns=2, SamplesPerPixel=3, BitsAllocated=8, NumberOfFrames=2)
    ds.PhotometricInterpretation = "YBR_FULL_422"
    ds.add_new("PixelData", "OB", bytes(16))

    assert [length for _, length in read(tmp_path, part10(ds)).layout.frame(2)] == [8]


@pytest.mark.parametrize(("keyword", "bits"), [("FloatPixelData", 32), ("DoubleFloatPixelData", 64)])
def test_floating_point_pixels_have_frames(tmp_path, keyword, bits):
    ds = instance(Rows=2, Columns=2, SamplesPerPixel=1, BitsAllocated=bits, NumberOfFrames=2)
    setattr(ds, keyword, bytes(range(bits)))
    data = part10(ds)

    header = read(tmp_path, data)

    assert b"".join(frames(data, header.layout)) == bytes(range(bits))
    assert "BulkDataURI" in header.attributes[f"{ds[keyword].tag:08X}"]


def test_pixel_data_of_an_icon_is_not_the_image(tmp_path):
    icon = pydicom.Dataset()
    icon.Rows, icon.Columns = 2, 2
    icon.add_new("PixelData", "OB", b"icon")
    data = part10(instance(IconImageSequence=[icon]))

    header = read(tmp_path, data)

    assert header.layout.number_of_frames == 0
    offset, length = header.layout.bulk["00880200/0/7FE00010"]
    assert data[offset : offset + length] == b"icon"


def many(
    *fragments: bytes,
    frames: int,
    syntax: str = JPEGBaseline8Bit,
    offsets: bytes = b"",
    ds: pydicom.Dataset | None = None,
) -> bytes:
    ds = ds or instance()
    ds.NumberOfFrames = frames
    return labelled(part10(ds), syntax) + encapsulated(*fragments, offsets=offsets)


def test_basic_offset_table_tells_frames_of_several_fragments(tmp_path):
    data = many(b"aa", b"bbbb", b"cc", frames=2, offsets=struct.pack("<2L", 0, 22))

    assert frames(data, read(tmp_path, data).layout) == [b"aabbbb", b"cc"]


@pytest.mark.parametrize("offsets", [(0,), (0, 11), (10, 22), (0, 22, 22), (0, 1 << 31)])
def test_basic_offset_table_that_fits_nothing_is_not_believed(tmp_path, offsets):
    data = many(b"aa", b"bb", frames=2, offsets=struct.pack(f"<{len(offsets)}L", *offsets))

    header = read(tmp_path, data)

    assert frames(data, header.layout) == [b"aa", b"bb"]
    assert "Basic Offset Table does not fit" in header.warnings[0]


def extended_tables(offsets: tuple[int, ...], lengths: tuple[int, ...]) -> pydicom.Dataset:
    ds = instance()
    ds.ExtendedOffsetTable = struct.pack(f"<{len(offsets)}Q", *offsets)
    ds.ExtendedOffsetTableLengths = struct.pack(f"<{len(lengths)}Q", *lengths)
    return ds


def test_extended_offset_table_tells_lengths_without_padding(tmp_path):
    data = many(b"abc\0", b"de", frames=2, ds=extended_tables((0, 12), (3, 2)))

    assert frames(data, read(tmp_path, data).layout) == [b"abc", b"de"]


@pytest.mark.parametrize(
    ("offsets", "lengths"),
    [((0, 12), (3, 9)), ((0, 12), (3,)), ((0, 13), (3, 2)), ((0,), (3,)), ((0, 12), (0, 2))],
)
def test_extended_offset_table_that_fits_nothing_is_not_believed(tmp_path, offsets, lengths):
    data = many(b"abc\0", b"de", frames=2, ds=extended_tables(offsets, lengths))

    header = read(tmp_path, data)

    assert frames(data, header.layout) == [b"abc\0", b"de"]
    assert "Extended Offset Table" in header.warnings[0]


def test_one_frame_takes_all_fragments(tmp_path):
    data = many(b"aa", b"bb", b"cc", frames=1, syntax=RLELossless)

    assert frames(data, read(tmp_path, data).layout) == [b"aabbcc"]


def test_without_a_table_images_are_told_by_their_first_bytes(tmp_path):
    data = many(*JPEG, frames=3)

    assert frames(data, read(tmp_path, data).layout) == [JPEG[0], JPEG[1] + JPEG[2], JPEG[3]]


def test_without_a_table_images_are_told_by_their_last_bytes_too(tmp_path):
    data = many(b"one \xff\xd9", b"two ", b"also two\xff\xd9\0\0", frames=2)

    assert frames(data, read(tmp_path, data).layout) == [b"one \xff\xd9", b"two also two\xff\xd9\0\0"]


def test_fragments_that_nothing_tells_apart_give_no_frames(tmp_path):
    header = read(tmp_path, many(b"aa", b"bb", b"cc", frames=2, syntax=RLELossless))

    assert header.layout.number_of_frames == 0
    assert "cannot be told apart" in header.warnings[0]


def test_fewer_fragments_than_frames_give_fewer_frames(tmp_path):
    header = read(tmp_path, many(b"aa", b"bb", frames=5))

    assert header.layout.number_of_frames == 2
    assert header.warnings == ("(7FE0,0010): 2 fragments hold 2 of 5 frames",)


def test_a_video_is_one_stream(tmp_path):
    data = many(b"aa", b"bb", frames=250, syntax=MPEG4HP41)

    assert frames(data, read(tmp_path, data).layout) == [b"aabb"]


def test_pixel_data_unlike_its_transfer_syntax_gives_no_frames(tmp_path):
    inside = read(tmp_path, many(b"aa", frames=1, syntax=ExplicitVRLittleEndian))
    outside = read(tmp_path, labelled(native(8, bytes(10)), JPEGBaseline8Bit))

    assert inside.layout.number_of_frames == outside.layout.number_of_frames == 0
    assert "encapsulated pixel data in transfer syntax Explicit" in inside.warnings[0]
    assert "native pixel data in transfer syntax JPEG Baseline" in outside.warnings[0]


def test_frames_are_counted_from_one():
    layout = Layout(2, native_offset=100, frame_bits=80)

    assert layout.frame(2) == [(110, 10)]
    for number in (0, 3, -1):
        with pytest.raises(UnknownInstance, match=f"no frame {number}"):
            layout.frame(number)


def test_bytes_of_another_version_are_not_misread():
    with pytest.raises(ValueError, match="reindex"):
        Layout.from_bytes(b"[9,1]\n")


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    gaps = draw(st.lists(st.tuples(st.integers(0, 1 << 40), st.integers(0, 1 << 33)), max_size=30))
    offsets, lengths, position = array("Q"), array("Q"), 0
    for gap, length in gaps:
        offsets.append(position + gap)
        lengths.append(length)
        position += gap + length
    starts = draw(st.lists(st.integers(0, 30), unique=True).map(sorted)) if gaps else []
    paths = st.text("0123456789ABCDEF/", min_size=1, max_size=40)
    places = st.tuples(st.integers(0, 1 << 50), st.integers(1, 1 << 50))
    return Layout(
        draw(st.integers(0, 1 << 31)),
        deflated=draw(st.booleans()),
        bulk=draw(st.dictionaries(paths, places, max_size=5)),
        native_offset=draw(st.integers(0, 1 << 50)),
        frame_bits=draw(st.integers(0, 1 << 40)),
        fragment_offsets=offsets,
        fragment_lengths=lengths,
        frame_starts=array("Q", starts),
    )


@given(layouts())
def test_layouts_survive_the_index(layout):
    assert Layout.from_bytes(layout.to_bytes()) == layout


def test_layout_of_many_equal_fragments_is_small_in_the_index():
    lengths = array("Q", (1000 + at % 7 for at in range(10_000)))
    ends = array("Q")
    for length in lengths:
        ends.append((ends[-1] if ends else 0) + length + 8)
    offsets = array("Q", (end - length for end, length in zip(ends, lengths, strict=True)))
    layout = Layout(10_000, fragment_offsets=offsets, fragment_lengths=lengths)

    assert len(layout.to_bytes()) < 10_000
    assert list(islice(Layout.from_bytes(layout.to_bytes()).fragment_offsets, 3)) == list(offsets[:3])
