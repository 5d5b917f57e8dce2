"""The pass over a data set against pydicom, in every encoding; changed and cut files."""

import tempfile
import warnings
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataelem import DataElement
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
)

from storage.encoding import BIG_ENDIAN, EXPLICIT
from storage.errors import InvalidInstance
from storage.header import read_header
from storage.values import MAX_INLINE_BINARY, little_endian
from storage.walker import Walker
from tests.storage.data_sets import encapsulated, instance, part10
from tests.storage.elements import ENCODINGS, encoded, walk
from tests.storage.expected_json import expected, with_bytes

WORDS = st.text("abcXYZ019 .-^", min_size=1, max_size=12)
EVEN = st.binary(min_size=1, max_size=700).map(lambda raw: raw * 2)
NAMES = ["Doe^John", "山田^太郎", "Yamada^Tarou=山田^太郎=やまだ^たろう", "é^"]
VALUES = {
    "AE": WORDS,
    "AS": st.sampled_from(["012Y", "003M"]),
    "AT": st.integers(0, 2**32 - 1),
    "CS": st.text("ABC_ 1", min_size=1, max_size=8),
    "DA": st.sampled_from(["20240229", "19700101"]),
    "DS": st.floats(-1e9, 1e9).map(lambda number: f"{number:.8g}"),
    "DT": st.just("20240229101112.5+0100"),
    "FD": st.floats(width=64),
    "FL": st.floats(width=32),
    "IS": st.integers(-(2**31), 2**31 - 1).map(str),
    "LO": WORDS,
    "LT": st.text("abc\\ é\n", min_size=1, max_size=30),
    "OB": EVEN,
    "OD": st.binary(min_size=8, max_size=8),
    "OF": st.binary(min_size=4, max_size=4),
    "OL": st.binary(min_size=4, max_size=4),
    "OV": st.binary(min_size=8, max_size=8),
    "OW": EVEN,
    "PN": st.sampled_from(NAMES),
    "SH": WORDS,
    "SL": st.integers(-(2**31), 2**31 - 1),
    "SS": st.integers(-(2**15), 2**15 - 1),
    "ST": WORDS,
    "SV": st.integers(-(2**63), 2**63 - 1),
    "TM": st.just("101112.123456"),
    "UC": WORDS,
    "UI": st.just("1.2.3"),
    "UL": st.integers(0, 2**32 - 1),
    "UR": st.just("http://example.org/a?b=c"),
    "US": st.integers(0, 2**16 - 1),
    "UT": WORDS,
    "UV": st.integers(0, 2**64 - 1),
}
MULTIPLE = {"CS", "DS", "FD", "IS", "LO", "SH", "SL", "SS", "UL", "UI", "AT"}
SEQUENCES = [0x00081140, 0x00400275, 0x0040A730, 0x52009229]


@st.composite
def data_sets(draw: st.DrawFn, depth: int = 3) -> pydicom.Dataset:
    ds = pydicom.Dataset()
    for vr in draw(st.lists(st.sampled_from(sorted(VALUES)), unique=True, max_size=8)):
        values = VALUES[vr]
        value = draw(
            st.lists(values, min_size=2, max_size=3) if vr in MULTIPLE and draw(st.booleans()) else values
        )
        setattr(ds, f"Selector{vr}Value", value)
    if depth:
        for tag in draw(st.lists(st.sampled_from(SEQUENCES), unique=True, max_size=2)):
            ds.add(DataElement(tag, "SQ", draw(st.lists(data_sets(depth - 1), max_size=3))))
            ds[tag].is_undefined_length = draw(st.booleans())
            for inner in ds[tag].value:
                inner.is_undefined_length_sequence_item = draw(st.booleans())
    return ds


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(data_sets(), st.sampled_from([*ENCODINGS, DeflatedExplicitVRLittleEndian]))
def test_random_data_sets_are_read_alike_in_every_encoding(extra, syntax):
    ds = instance(SpecificCharacterSet="ISO_IR 192")
    for element in extra:
        if element.tag not in ds:
            ds.add(element)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        path = Path(folder) / "instance.dcm"
        path.write_bytes(part10(ds, syntax))
        theirs = expected(pydicom.dcmread(path))
        if syntax == DeflatedExplicitVRLittleEndian:
            assert read_header(path).key.sop == "1.2.3"
            body, encoding = encoded(ds, ExplicitVRLittleEndian), EXPLICIT
        else:
            body, encoding = encoded(ds, syntax), ENCODINGS[syntax]

    reader = Walker(body)
    ours = reader.read(0, encoding)

    def bulk(place: str) -> bytes:
        offset, length = reader.bulk[place]
        return body[offset : offset + length]

    ours = with_bytes(ours, bulk)
    assert comparable(ours, big=encoding is BIG_ENDIAN) == comparable(theirs, big=False)


def comparable(attributes: dict[str, Any], *, big: bool) -> dict[str, Any]:
    """Short binary values of big endian are swapped back to what is in the file, as pydicom gives them."""
    found = {}
    for tag, attribute in attributes.items():
        if "bytes" in attribute:
            raw = attribute["bytes"]
            swapped = big and len(raw) <= MAX_INLINE_BINARY
            found[tag] = {
                "vr": attribute["vr"],
                "bytes": little_endian(attribute["vr"], raw) if swapped else raw,
            }
        elif attribute["vr"] == "SQ" and "Value" in attribute:
            found[tag] = {"vr": "SQ", "Value": [comparable(inner, big=big) for inner in attribute["Value"]]}
        else:
            found[tag] = attribute
    return found


# Hostile bytes.


def small_file() -> bytes:
    inner = pydicom.Dataset()
    inner.ReferencedSOPInstanceUID = "1.2.3.4"
    inner.add_new("PixelData", "OB", b"icon")
    ds = instance(SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName="Doe^John", WindowCenter=[1, 2])
    ds.IconImageSequence = [inner, pydicom.Dataset()]
    ds["IconImageSequence"].is_undefined_length = True
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.BitsAllocated = 2, 2, 1, 8
    return part10(ds) + encapsulated(b"\xff\xd8ab", b"cd\xff\xd9", offsets=bytes(4))


SMALL = small_file()
CHANGES = st.lists(
    st.tuples(st.integers(132, len(SMALL) - 1), st.binary(min_size=1, max_size=4)), min_size=1, max_size=6
)


def survives(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hostile.dcm"
        path.write_bytes(data)
        try:
            layout = read_header(path).layout
        except InvalidInstance:
            return
    for number in range(1, layout.number_of_frames + 1):
        assert all(offset + length <= len(data) for offset, length in layout.frame(number))
    assert all(offset + length <= len(data) for offset, length in layout.bulk.values())


@settings(deadline=None, max_examples=300)
@given(CHANGES)
def test_changed_bytes_are_read_or_refused_and_nothing_else(changes):
    data = bytearray(SMALL)
    for position, replacement in changes:
        data[position : position + len(replacement)] = replacement
    survives(bytes(data))


@pytest.mark.parametrize("syntax", [*ENCODINGS, DeflatedExplicitVRLittleEndian])
def test_a_file_cut_anywhere_is_refused_or_ends_between_elements(syntax, tmp_path):
    inner = pydicom.Dataset()
    inner.CodeValue = "1"
    data = part10(instance(PatientID="12", ConceptNameCodeSequence=[inner], PatientComments="é"), syntax)
    for size in range(len(data)):
        survives(data[:size])


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200), st.sampled_from([*ENCODINGS.values()]))
def test_garbage_is_no_data_set(data, encoding):
    try:
        found = walk(data, encoding)
    except InvalidInstance:
        return
    assert len(found) * 8 <= len(data)
