"""The pass over a data set: every encoding against pydicom, odd ways of writing, and the limits."""

import struct
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
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from storage import fragments, walker
from storage.encoding import BIG_ENDIAN, EXPLICIT, IMPLICIT, Encoding
from storage.errors import InvalidInstance
from storage.header import read_header
from storage.values import MAX_INLINE, MAX_INLINE_BINARY, little_endian
from storage.walker import Walker
from tests.storage.data_sets import dataset_start, encapsulated, instance, part10
from tests.storage.expected_json import expected, with_bytes

ENCODINGS = {
    ImplicitVRLittleEndian: IMPLICIT,
    ExplicitVRLittleEndian: EXPLICIT,
    ExplicitVRBigEndian: BIG_ENDIAN,
}


def walk(data: bytes, encoding: Encoding = EXPLICIT) -> dict[str, Any]:
    return Walker(data).read(0, encoding)


def told(data: bytes, encoding: Encoding = EXPLICIT) -> tuple[dict[str, Any], tuple[str, ...]]:
    reader = Walker(data)
    return reader.read(0, encoding), reader.warnings


def encoded(ds: pydicom.Dataset, syntax: str) -> bytes:
    """The data set alone, from a file of pydicom's."""
    data = part10(ds, syntax)
    return data[dataset_start(data) :]


def explicit(tag: int, vr: str, value: bytes, length: int | None = None) -> bytes:
    length = len(value) if length is None else length
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    if vr in {"OB", "OW", "OF", "OD", "OL", "OV", "SQ", "UN", "UC", "UR", "UT", "SV", "UV"}:
        return head + struct.pack("<HI", 0, length) + value
    return head + struct.pack("<H", length) + value


def implicit(tag: int, value: bytes, length: int | None = None) -> bytes:
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value) if length is None else length) + value


UNDEFINED = 0xFFFFFFFF
ITEM_END = implicit(0xFFFEE00D, b"")
SEQUENCE_END = implicit(0xFFFEE0DD, b"")


def item(value: bytes) -> bytes:
    return implicit(0xFFFEE000, value)


# Every way of writing, on random data sets.

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


# Odd ways of writing.


def test_sequence_of_vr_un_is_implicit_inside():
    inside = implicit(0x00080100, b"T-1 ")
    for sequence in (
        explicit(0x0040A730, "UN", item(inside)),
        explicit(
            0x0040A730, "UN", implicit(0xFFFEE000, inside, UNDEFINED) + ITEM_END + SEQUENCE_END, UNDEFINED
        ),
        explicit(0x00091001, "UN", item(inside) + SEQUENCE_END, UNDEFINED),
    ):
        (attribute,) = walk(sequence).values()
        assert attribute == {"vr": "SQ", "Value": [{"00080100": {"vr": "SH", "Value": ["T-1"]}}]}


def test_known_attribute_of_vr_un_is_read():
    data = explicit(0x00090010, "LO", b"GEMS_IDEN_01") + explicit(0x00091001, "UN", b"GE_X")

    assert walk(explicit(0x00280010, "UN", b"\x01\x02")) == {"00280010": {"vr": "US", "Value": [513]}}
    assert walk(data)["00091001"] == {"vr": "LO", "Value": ["GE_X"]}


def test_private_attribute_without_known_creator_stays_un():
    data = implicit(0x00090010, b"NOBODY") + implicit(0x00091001, b"GE_X")

    assert walk(data, IMPLICIT)["00091001"] == {"vr": "UN", "InlineBinary": "R0VfWA=="}


def test_private_sequence_in_implicit_vr_is_told_by_its_items():
    data = implicit(0x00091001, item(implicit(0x00080100, b"T-1 ")) + SEQUENCE_END, UNDEFINED)

    assert walk(data, IMPLICIT)["00091001"]["Value"] == [{"00080100": {"vr": "SH", "Value": ["T-1"]}}]


@pytest.mark.parametrize(("representation", "value"), [(0, 65535), (1, -1)])
def test_pixel_values_in_implicit_vr_have_the_sign_of_the_pixels(representation, value):
    smallest = implicit(0x00280106, b"\xff\xff")
    data = implicit(0x00280103, struct.pack("<H", representation))

    assert walk(data + smallest, IMPLICIT)["00280106"]["Value"] == [value]
    assert walk(data + implicit(0x00283000, item(smallest)), IMPLICIT)["00283000"]["Value"] == [
        {"00280106": {"vr": "SS" if representation else "US", "Value": [value]}}
    ]


def test_element_without_vr_in_explicit_vr_is_read_with_a_warning():
    found, warned = told(explicit(0x00080060, "CS", b"CT") + implicit(0x00200011, b"3 "))

    assert found["00200011"] == {"vr": "IS", "Value": [3]}
    assert warned == ("(0020,0011): has no VR, read as implicit VR",)


@pytest.mark.parametrize("vr", ["XX", "ob", "A1"])
def test_unknown_vr_is_refused(vr):
    with pytest.raises(InvalidInstance, match=r"\(0008,0060\)"):
        walk(explicit(0x00080060, "CS", b"CT") + explicit(0x00100010, vr, b"ABCDEFGH" * 200))


def test_group_lengths_and_foreign_groups_are_left_out():
    data = (
        explicit(0x00020010, "UI", b"1.2\0")
        + explicit(0x00080000, "UL", bytes(4))
        + explicit(0x00080060, "CS", b"CT")
    )

    found, warned = told(data)

    assert found == {"00080060": {"vr": "CS", "Value": ["CT"]}}
    assert warned == ("(0002,0010): is no part of a data set, left out",)


def test_elements_out_of_order_are_put_in_order():
    found = walk(explicit(0x00100020, "LO", b"1 ") + explicit(0x00080060, "CS", b"CT"))

    assert list(found) == ["00080060", "00100020"]


def test_of_an_attribute_that_appears_twice_the_last_one_counts():
    data = b"".join(
        explicit(tag, "LO", value)
        for tag, value in ((0x00100020, b"1 "), (0x00080070, b"x "), (0x00100020, b"2 "))
    )

    found, warned = told(data)

    assert found["00100020"]["Value"] == ["2"]
    assert warned == ("(0010,0020): appears more than once, the last one counts",)


def test_empty_values_have_no_value_and_missing_ones_among_others_are_null():
    assert walk(explicit(0x00080060, "CS", b"")) == {"00080060": {"vr": "CS"}}
    assert walk(explicit(0x00080060, "CS", b"  ")) == {"00080060": {"vr": "CS"}}
    assert walk(explicit(0x00080008, "CS", b"A\\\\B "))["00080008"]["Value"] == ["A", None, "B"]
    assert walk(explicit(0x00281050, "DS", b"1\\ \\3 "))["00281050"]["Value"] == [1, None, 3]
    assert walk(explicit(0x00200013, "IS", b"\\5"))["00200013"]["Value"] == [None, 5]
    assert walk(explicit(0x00101001, "PN", b"\\a^b"))["00101001"]["Value"] == [None, {"Alphabetic": "a^b"}]
    assert walk(explicit(0x00101001, "PN", b"==c "))["00101001"]["Value"] == [{"Phonetic": "c"}]
    assert walk(explicit(0x0040A730, "SQ", b"")) == {"0040A730": {"vr": "SQ"}}
    assert walk(explicit(0x0040A730, "SQ", item(b"")))["0040A730"]["Value"] == [{}]
    assert walk(explicit(0x7FE00010, "OB", b"")) == {"7FE00010": {"vr": "OB"}}


@pytest.mark.parametrize(
    ("vr", "raw", "value", "warned"),
    [
        ("DS", b"1e400", "1e400", True),
        ("DS", b"nan ", "nan", True),
        ("DS", b"1_0 ", "1_0", True),
        ("DS", b"1,5 ", "1,5", True),
        ("DS", b" 1.5e-3 ", 0.0015, False),
        ("DS", b"0." + b"1" * 98, "0." + "1" * 98, True),
        ("IS", b"+07 ", 7, False),
        ("IS", b"1.0 ", 1, False),
        ("IS", b"1.5 ", "1.5", True),
        ("IS", b"1_0 ", "1_0", True),
        ("IS", b"9" * 100, "9" * 100, True),
        ("FD", struct.pack("<d", float("nan")), "NaN", False),
        ("FL", struct.pack("<f", float("-inf")), "-Infinity", False),
        ("FD", struct.pack("<d", float("inf")), "Infinity", False),
        ("US", b"\x01\x00\x02", 1, True),
        ("AT", b"\x08\x00\x20\x00\xff", "00080020", True),
        ("LO", b"a\0b ", "ab", True),
        ("CS", b" CT ", "CT", False),
        ("UR", b" http://a\\b ", " http://a\\b", False),
        ("LT", b" a\\b  ", " a\\b", False),
        ("LO", b" a\\b", None, False),
    ],
)
def test_values_that_are_not_what_their_vr_asks_for_are_kept(vr, raw, value, warned):
    found, warnings_ = told(explicit(0x00090001, vr, raw))

    values = found["00090001"]["Value"]
    assert values == ([value] if value is not None else [" a", "b"])
    assert bool(warnings_) is warned


def test_big_values_become_bulk_data_by_path():
    graphics = bytes(4 * (MAX_INLINE // 4 + 1))
    data = explicit(0x00700001, "SQ", item(explicit(0x00420011, "OB", bytes(MAX_INLINE_BINARY + 2))))
    reader = Walker(data + implicit(0x00700022, graphics))

    found = reader.read(0, EXPLICIT)

    assert found["00700001"]["Value"][0]["00420011"] == {
        "vr": "OB",
        "BulkDataURI": "bulkdata:00700001/0/00420011",
    }
    assert found["00700022"] == {"vr": "FL", "BulkDataURI": "bulkdata:00700022"}
    assert reader.bulk["00700022"] == (len(data) + 8, len(graphics))


def test_graphics_stay_numbers():
    points = struct.pack("<20000f", *range(20000))

    assert walk(implicit(0x00700022, points), IMPLICIT)["00700022"]["Value"][-1] == 19999


def test_items_inherit_the_character_set_or_have_their_own():
    russian, latin = (explicit(0x00080005, "CS", term) for term in (b"ISO_IR 144", b"ISO_IR 100"))
    name = explicit(0x00080104, "LO", b"\xbb\xee")

    found = walk(russian + explicit(0x0040A730, "SQ", item(name) + item(latin + name) + item(name)))

    texts = [inner["00080104"]["Value"] for inner in found["0040A730"]["Value"]]
    assert texts == [["Лю"], ["»î"], ["Лю"]]
    assert found["00080005"]["Value"] == ["ISO_IR 192"]


# Limits.


def nested(depth: int) -> bytes:
    data = b""
    for _ in range(depth):
        data = explicit(0x0040A730, "SQ", item(data))
    return data


def test_nesting_has_a_limit():
    assert walk(nested(walker.MAX_DEPTH))
    with pytest.raises(InvalidInstance, match=r"\(0040,A730\): nested deeper than 32"):
        walk(nested(walker.MAX_DEPTH + 1))


def test_number_of_elements_and_items_has_a_limit(monkeypatch):
    monkeypatch.setattr(walker, "MAX_ELEMENTS", 3000)
    flat = b"".join(explicit(0x00100000 + number, "LO", b"") for number in range(1, 5000))
    with pytest.raises(InvalidInstance, match="more than 3000 elements"):
        walk(flat)
    with pytest.raises(InvalidInstance, match=r"\(0040,A730\): more than 3000 elements"):
        walk(explicit(0x0040A730, "SQ", item(b"") * 4000))


def test_size_of_the_json_has_a_limit(monkeypatch):
    monkeypatch.setattr(walker, "MAX_HEADER", 100_000)
    text = explicit(0x0040A730, "SQ", item(explicit(0x00080070, "LO", b"x" * 200)) * 1000)
    with pytest.raises(InvalidInstance, match="more than 100000 bytes of attributes"):
        walk(text)


def test_values_beyond_the_budget_become_bulk_data(monkeypatch):
    monkeypatch.setattr(walker, "INLINE_BUDGET", 1000)
    contour = item(explicit(0x30060050, "DS", b"1.5\\" * 300 + b"2 "))

    contours = walk(explicit(0x30060040, "SQ", contour * 3))["30060040"]["Value"]

    assert ["Value" in each["30060050"] for each in contours] == [True, False, False]


def test_text_without_bulk_form_has_a_limit():
    with pytest.raises(InvalidInstance, match=r"\(0010,0020\): 1048578 bytes of LO"):
        walk(implicit(0x00100020, b"x" * (MAX_INLINE + 2)), IMPLICIT)


def test_fragments_have_a_limit(monkeypatch):
    monkeypatch.setattr(fragments, "MAX_FRAGMENTS", 10)
    with pytest.raises(InvalidInstance, match=r"\(7FE0,0010\): more than 10 fragments"):
        walk(encapsulated(*[b"ab"] * 11))


def test_warnings_have_a_limit():
    _, warned = told(b"".join(explicit(0x00100000 + number, "US", b"abc") for number in range(1, 200)))

    assert len(warned) == walker.MAX_WARNINGS


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (explicit(0x00100020, "LO", b"ab", 10), r"cut short in \(0010,0020\): 2 of 10 bytes are in the file"),
        (explicit(0x7FE00010, "OW", b"ab", 512), r"cut short in \(7FE0,0010\): 2 of 512 bytes"),
        (explicit(0x0040A730, "SQ", item(b""), 80), r"cut short in \(0040,A730\): 8 of 80 bytes"),
        (explicit(0x0040A730, "SQ", implicit(0xFFFEE000, b"", 9)), r"\(0040,A730\): 0 of 9 bytes of an item"),
        (explicit(0x0040A730, "SQ", b"", UNDEFINED), r"\(0040,A730\): the sequence has no delimitation item"),
        (
            explicit(0x0040A730, "SQ", implicit(0xFFFEE000, explicit(0x00080100, "SH", b"1 "), UNDEFINED)),
            r"\(0008,0100\): the item around it has no delimitation item",
        ),
        (explicit(0x0040A730, "SQ", implicit(0x00080100, b"")), r"\(0008,0100\) where an item should be"),
        (
            explicit(0x0040A730, "SQ", item(explicit(0x00080100, "SH", b"1", 4)))
            + explicit(0x00700022, "FL", b""),
            r"\(0008,0100\): 1 of 4 bytes are in its item",
        ),
        (explicit(0x00100020, "LO", b"1 ") + b"\x10\x00", r"no element after \(0010,0020\)"),
        (explicit(0x00700022, "UT", b"", UNDEFINED), r"\(0070,0022\): UT of undefined length"),
        (SEQUENCE_END, r"\(FFFE,E0DD\): an item or delimitation item outside a sequence"),
        (encapsulated()[:-8], r"cut short in \(7FE0,0010\), in the header of an item"),
        (encapsulated(b"abcd")[:-10], r"cut short in \(7FE0,0010\): 2 of 4 bytes of an item"),
        (
            explicit(0x7FE00010, "OB", SEQUENCE_END, UNDEFINED),
            r"\(7FE0,0010\): encapsulated without a Basic Offset Table",
        ),
        (
            explicit(0x7FE00010, "OB", ITEM_END, UNDEFINED),
            r"\(7FE0,0010\): \(FFFE,E00D\) where a fragment should be",
        ),
    ],
)
def test_what_is_cut_short_or_no_data_set_is_refused_by_name(data, reason):
    with pytest.raises(InvalidInstance, match=reason):
        walk(data)
