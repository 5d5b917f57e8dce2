"""Objects leave as Explicit or Implicit VR Little Endian, element for element equal."""

import io
import re
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from storage.errors import InvalidInstance
from storage.transcode import explicit_little_endian, little_endian_data_set, swapped, word_size
from storage.transfer_syntax import transfer_syntax


def transcoded(data: bytes, syntax: str, piece: int = 1 << 16) -> bytes:
    chunks = (data[start : start + piece] for start in range(0, len(data), piece))
    return b"".join(explicit_little_endian(chunks, len(data), transfer_syntax(syntax)))


def read(data: bytes) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about values that break their VR; real files have them
        return pydicom.dcmread(io.BytesIO(data), force=True)


def elements(dataset: Dataset, path: str = "", big: bool = False):
    """Every element of a data set with its path: VR and value, but for group lengths (PS3.5 7.2).

    pydicom leaves the words of a `big` endian data set's OW and the like as they are stored.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for element in dataset:
            here = f"{path}/{element.tag}"
            if element.VR == "SQ":
                yield here, "SQ", len(element.value)
                for number, item in enumerate(element.value):
                    yield from elements(item, f"{here}/{number}", big)
            elif element.tag.element:
                yield here, element.VR, little(dataset, element) if big else element.value


def little(dataset: Dataset, element: DataElement):
    sizes = {
        "OW": max(dataset.get("BitsAllocated", 16) // 8, 2) if element.keyword == "PixelData" else 2,
        "OF": 4,
    }
    if element.VR not in sizes:
        return element.value
    return np.frombuffer(element.value, f">u{sizes[element.VR]}").byteswap().tobytes()


def example(implicit: bool, little: bool) -> bytes:
    """A data set with every number VR, a nested and an empty sequence, private and long elements."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3"
    ds.SpecificCharacterSet, ds.PatientName = "ISO_IR 192", "Ärzte^Zoë"
    ds.PixelRepresentation, ds.BitsAllocated, ds.SmallestImagePixelValue = 1, 16, -5
    ds.FrameIncrementPointer = 0x00181063
    ds.add_new(0x00189074, "DT", "2020")
    ds.add_new(0x0018602C, "FD", 1.5)
    ds.add_new(0x00189004, "CS", "X")
    ds.add_new(0x00080301, "US", 4)
    ds.add_new(0x00186011, "SQ", [])
    ds.ReferencedImageSequence = [Dataset(), Dataset()]
    ds.ReferencedImageSequence[0].ReferencedSOPInstanceUID = "1.2.4"
    ds.ReferencedImageSequence[0].PurposeOfReferenceCodeSequence = [Dataset()]
    ds.ReferencedImageSequence[0].PurposeOfReferenceCodeSequence[0].CodeValue = "121311"
    block = ds.private_block(0x0029, "ISOCENTER TEST", create=True)
    block.add_new(0x10, "UN", b"unknown!")
    ds.add_new(0x00660016, "OF", b"\1\2\3\4")
    ds.TextValue = "x" * 70_000
    ds.PixelData = bytes(range(256)) * 300
    ds["PixelData"].VR = "OW"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, "1.2.3"
    ds.file_meta.TransferSyntaxUID = (
        ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    )
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


@pytest.mark.parametrize("piece", [1, 13, 1 << 16])
@pytest.mark.parametrize(
    ("implicit", "syntax"),
    [(True, ImplicitVRLittleEndian), (False, ExplicitVRBigEndian)],
    ids=["implicit", "big"],
)
def test_every_element_is_equal_however_the_file_comes(implicit, syntax, piece):
    stored = example(implicit, little=implicit)
    expected, got = read(example(False, True)), read(transcoded(stored, syntax, piece))
    assert got.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert list(elements(got)) == list(elements(expected, big=not implicit))
    assert got.file_meta.FileMetaInformationGroupLength == expected.file_meta.FileMetaInformationGroupLength


def test_every_real_file_comes_out_equal(test_data: Path):
    """All valid files of the test data that are in Implicit VR or Big Endian."""
    compared = 0
    for path in sorted((test_data / "dicom").rglob("*.*")):
        stored = read(path.read_bytes())
        syntax = stored.file_meta.get("TransferSyntaxUID")
        if syntax not in {ImplicitVRLittleEndian, ExplicitVRBigEndian} or "SOPInstanceUID" not in stored:
            continue
        got = read(transcoded(path.read_bytes(), syntax))
        assert list(elements(got)) == list(elements(stored, big=syntax == ExplicitVRBigEndian)), path
        if "PixelData" in stored and "BitsAllocated" in stored:
            assert np.array_equal(got.pixel_array, stored.pixel_array), path
        compared += 1
    assert compared >= 30


def vr_of(tag: int) -> str:
    return dictionary_VR(tag) if dictionary_has_tag(tag) else "US or OW"


def as_implicit(data: bytes, syntax: str) -> Dataset:
    chunks = (data[start : start + 4096] for start in range(0, len(data), 4096))
    written = b"".join(little_endian_data_set(chunks, len(data), transfer_syntax(syntax), implicit=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return read_dataset(io.BytesIO(written), is_implicit_VR=True, is_little_endian=True)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_every_element_is_equal_without_vrs(syntax):
    got = as_implicit(example(syntax == ImplicitVRLittleEndian, little=True), syntax)
    expected = as_implicit(example(True, little=True), ImplicitVRLittleEndian)
    assert list(elements(got)) == list(elements(expected))
    assert len(list(elements(got))) == len(list(elements(read(example(True, little=True)))))


def test_every_real_native_file_keeps_its_public_attributes_without_vrs(test_data: Path):
    compared = 0
    for path in sorted((test_data / "dicom").rglob("*.*")):
        stored = read(path.read_bytes())
        syntax = stored.file_meta.get("TransferSyntaxUID")
        if (
            syntax not in {ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian}
            or "SOPInstanceUID" not in stored
        ):
            continue
        got, expected = dict(public(as_implicit(path.read_bytes(), syntax))), dict(public(stored))
        assert got == expected, path
        compared += 1
    assert compared >= 30


def public(dataset: Dataset):
    """The public elements outside private sequences, where the dictionary has one VR for them."""
    for path, vr, value in elements(dataset):
        tags = [int(group + element, 16) for group, element in re.findall(r"\((\w{4}),(\w{4})\)", path)]
        if vr != "SQ" and not any(tag & 0x10000 or " or " in vr_of(tag) for tag in tags):
            yield path, value or None  # an empty text and no value are one


def test_a_long_value_of_a_short_vr_becomes_unknown():
    """PS3.18 8.7.3.4, note 3."""
    value = b"1.5\\" * 20_000
    stored = bytes(128) + b"DICM" + b"\x28\x00\x06\x10" + len(value).to_bytes(4, "little") + value
    assert transcoded(stored, ImplicitVRLittleEndian).endswith(
        b"\x28\x00\x06\x10UN\x00\x00" + len(value).to_bytes(4, "little") + value
    )


def test_an_odd_value_is_padded():
    stored = b"\x10\x00\x20\x00\x03\x00\x00\x00abc"
    assert transcoded(stored, ImplicitVRLittleEndian).endswith(b"\x10\x00\x20\x00LO\x04\x00abc ")


def test_group_lengths_are_left_out():
    stored = b"\x10\x00\x00\x00\x04\x00\x00\x00\x09\x09\x09\x09" + b"\x10\x00\x20\x00\x02\x00\x00\x00ab"
    assert transcoded(stored, ImplicitVRLittleEndian).endswith(b"LO\x02\x00ab")
    assert b"\x09\x09" not in transcoded(stored, ImplicitVRLittleEndian)


def test_a_data_set_that_cannot_be_followed_names_the_tag():
    stored = b"\x08\x00\x40\x11\xff\xff\xff\xff" + b"\x10\x00\x20\x00\x02\x00\x00\x00ab"
    with pytest.raises(InvalidInstance, match=r"\(0010,0020\) in place of an item"):
        transcoded(stored, ImplicitVRLittleEndian)


@given(st.binary(max_size=300), st.sampled_from([ImplicitVRLittleEndian, ExplicitVRBigEndian]))
def test_any_bytes_are_transcoded_or_refused(data, syntax):
    try:
        assert transcoded(data, syntax)[128:132] == b"DICM"
    except InvalidInstance:
        return


@pytest.mark.parametrize("cut", [1, 3, 5, 100])
@pytest.mark.parametrize("unit", [1, 2, 4, 8])
def test_swapping_twice_gives_the_bytes_back(cut, unit):
    data = bytes(range(35))
    pieces = [data[start : start + cut] for start in range(0, len(data), cut)]
    once = b"".join(swapped(pieces, unit))
    assert once[:8] == b"".join(data[start : start + unit][::-1] for start in range(0, 8, unit))
    assert b"".join(swapped([once], unit)) == data


def test_samples_of_pixel_data_are_reordered_as_a_whole():
    assert [word_size("OW", bits) for bits in (0, 8, 16, 32, 64)] == [2, 2, 2, 4, 8]
    assert (word_size("OB"), word_size("FD"), word_size("LO")) == (1, 8, 1)
