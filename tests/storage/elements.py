"""Elements written by hand, and read by the walker."""

import struct
from typing import Any

import pydicom
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from storage.encoding import BIG_ENDIAN, EXPLICIT, IMPLICIT, Encoding
from storage.walker import Walker
from tests.storage.data_sets import dataset_start, part10

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
