"""The items of encapsulated pixel data (PS3.5 A.4)."""

import mmap
from array import array
from dataclasses import dataclass, field

from storage.encoding import UNDEFINED, Buffer, ElementReader, tag_name
from storage.errors import InvalidInstance

ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD

MAX_FRAGMENTS = 1_000_000
"""Fragments of one pixel data: a slide of 250,000 x 250,000 pixels in tiles of 256."""
MAX_OFFSET_TABLE = 8 * MAX_FRAGMENTS
"""Bytes of an offset table."""
_HEADER = 8
_MAPPED = 64 << 20
"""Bytes of the file that may stay mapped while its fragments are passed over."""


@dataclass(slots=True)
class PixelData:
    """The value of pixel data as it lies in the buffer."""

    tag: int
    offset: int
    length: int
    encapsulated: bool = False
    offset_table: bytes = b""
    """Value of the Basic Offset Table item."""
    fragment_offsets: "array[int]" = field(default_factory=lambda: array("Q"))
    fragment_lengths: "array[int]" = field(default_factory=lambda: array("Q"))


def item_header(
    buffer: Buffer, position: int, end: int, read: ElementReader, owner: int
) -> tuple[int, int, int]:
    """Tag, length and start of the value of an item or delimitation item (PS3.5 7.5) in the element `owner`.

    Raises:
        InvalidInstance: it does not lie before `end`.
    """
    if position + _HEADER > end:
        raise InvalidInstance(f"cut short in {tag_name(owner)}, in the header of an item")
    tag, _, length, start = read(buffer, position)
    if length != UNDEFINED and start + length > end:
        raise InvalidInstance(f"cut short in {tag_name(owner)}: {end - start} of {length} bytes of an item")
    return tag, length, start


def read_fragments(
    buffer: Buffer, start: int, end: int, read: ElementReader, tag: int
) -> tuple[PixelData, int]:
    """The encapsulated pixel data whose first item is at `start`, and the position behind its last one.

    Raises:
        InvalidInstance: it is not a sequence of fragments that ends before `end`, or has too many.
    """
    pixels = PixelData(tag, start, 0, encapsulated=True)
    position = released = start
    while True:
        marker, length, value = item_header(buffer, position, end, read, tag)
        if marker == SEQUENCE_END:
            break
        if marker != ITEM or length == UNDEFINED:
            raise InvalidInstance(f"{tag_name(tag)}: {tag_name(marker)} where a fragment should be")
        pixels.fragment_offsets.append(value)
        pixels.fragment_lengths.append(length)
        if len(pixels.fragment_offsets) > MAX_FRAGMENTS:
            raise InvalidInstance(f"{tag_name(tag)}: more than {MAX_FRAGMENTS} fragments")
        position = value + length
        released = _release(buffer, released, position)
    pixels.length = position - start
    _take_offset_table(pixels, buffer)
    return pixels, value


def _take_offset_table(pixels: PixelData, buffer: Buffer) -> None:
    if not pixels.fragment_offsets:
        raise InvalidInstance(f"{tag_name(pixels.tag)}: encapsulated without a Basic Offset Table item")
    offset, length = pixels.fragment_offsets.pop(0), pixels.fragment_lengths.pop(0)
    if length > MAX_OFFSET_TABLE:
        raise InvalidInstance(f"{tag_name(pixels.tag)}: offset table of more than {MAX_OFFSET_TABLE} bytes")
    pixels.offset_table = buffer[offset : offset + length]


def _release(buffer: Buffer, released: int, position: int) -> int:
    """Unmap what was passed, so that resident memory does not grow with the file."""
    if position - released <= _MAPPED or isinstance(buffer, bytes):
        return released
    begin = released - released % mmap.PAGESIZE
    buffer.madvise(mmap.MADV_DONTNEED, begin, position - begin)
    return position
