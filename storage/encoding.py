"""How one data element is written (PS3.5 7.1): VR explicit or implicit, byte order."""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from mmap import mmap

from storage.errors import InvalidInstance
from storage.transfer_syntax import TransferSyntax
from storage.values import Kind, Reader, kinds

Buffer = bytes | mmap
ElementHeader = tuple[int, str | None, int, int]
"""Tag, VR (None when implicit, empty for items), length of the value, position of its first byte."""
ElementReader = Callable[[Buffer, int], ElementHeader]

UNDEFINED = 0xFFFFFFFF
"""The length of what ends with a delimitation item (PS3.5 7.1.1)."""

_ITEM_GROUP = 0xFFFE
_LONG = {
    vr.encode(): vr for vr in ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV")
}
"""VRs with a length of 32 bits (PS3.5 table 7.1-1)."""
_SHORT = {vr.encode(): vr for vr in kinds("<") if vr.encode() not in _LONG}


@dataclass(frozen=True, slots=True)
class Encoding:
    """Readers for one way of writing elements. All raise `struct.error` where the bytes end."""

    element: ElementReader
    """Also raises `InvalidInstance` where the VR is none of PS3.5 6.2."""
    item: ElementReader
    """For items and delimitation items, which have no VR in any encoding (PS3.5 7.5)."""
    kinds: Mapping[str, Kind]
    readers: Mapping[str, Reader]
    resolves_unknown: bool
    """A known attribute of VR UN can be read: little endian, as its value always is (PS3.5 6.2.2 note 2)."""


def tag_name(tag: int) -> str:
    """`(gggg,eeee)`."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _implicit(order: str) -> ElementReader:
    header = struct.Struct(f"{order}HHI").unpack_from

    def element(buffer: Buffer, position: int) -> ElementHeader:
        group, number, length = header(buffer, position)
        return group << 16 | number, None, length, position + 8

    return element


def _explicit(order: str) -> ElementReader:
    header = struct.Struct(f"{order}HH2sH").unpack_from
    long = struct.Struct(f"{order}I").unpack_from

    def element(buffer: Buffer, position: int) -> ElementHeader:
        group, number, vr, length = header(buffer, position)
        tag = group << 16 | number
        if vr in _SHORT:
            return tag, _SHORT[vr], length, position + 8
        if vr in _LONG:
            return tag, _LONG[vr], long(buffer, position + 8)[0], position + 12
        if group == _ITEM_GROUP:
            return tag, "", long(buffer, position + 4)[0], position + 8
        raise InvalidInstance(f"{tag_name(tag)}: {vr!r} is no value representation")

    return element


def _encoding(element: ElementReader, order: str) -> Encoding:
    by_vr = kinds(order)
    readers = {vr: kind.read for vr, kind in by_vr.items()}
    return Encoding(element, _implicit(order), by_vr, readers, order == "<")


IMPLICIT = _encoding(_implicit("<"), "<")
EXPLICIT = _encoding(_explicit("<"), "<")
BIG_ENDIAN = _encoding(_explicit(">"), ">")


def encoding_of(syntax: TransferSyntax) -> Encoding:
    """How a data set in this transfer syntax is written."""
    if syntax.implicit:
        return IMPLICIT
    return BIG_ENDIAN if syntax.big_endian else EXPLICIT
