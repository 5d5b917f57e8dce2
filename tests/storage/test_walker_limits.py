"""What is cut short, too deep or too much is refused by name."""

import pytest

from storage import fragments, walker
from storage.encoding import IMPLICIT
from storage.errors import InvalidInstance
from storage.values import MAX_INLINE
from tests.storage.data_sets import encapsulated
from tests.storage.elements import ITEM_END, SEQUENCE_END, UNDEFINED, explicit, implicit, item, told, walk


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
