"""Odd ways of writing, read as pydicom reads them or as the standard says."""

import struct

import pytest

from storage.encoding import EXPLICIT, IMPLICIT
from storage.errors import InvalidInstance
from storage.values import MAX_INLINE, MAX_INLINE_BINARY
from storage.walker import Walker
from tests.storage.elements import ITEM_END, SEQUENCE_END, UNDEFINED, explicit, implicit, item, told, walk


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
