"""Whole objects with their pixel data compressed without loss."""

import struct
from collections.abc import Iterator

from storage.archive import Archive
from storage.instances import StoredInstance
from storage.pixels.attributes import Attributes
from storage.pixels.encode import ENCODERS, LOSSY, RLE, encodable, encoded_frame
from storage.transcode import Replacement, element_header, little_endian_data_set
from storage.transfer_syntax import transfer_syntax

LOSSLESS = tuple(sorted(ENCODERS.keys() - LOSSY))
"""Transfer syntaxes that objects can be compressed in."""

_PHOTOMETRIC, _PLANAR, _PIXEL_DATA = 0x00280004, 0x00280006, 0x7FE00010
_OFFSET_TABLES = (0x7FE00001, 0x7FE00002)
_UNDEFINED = 0xFFFFFFFF


def encoded_data_set(archive: Archive, instance: StoredInstance, wanted: str) -> Iterator[bytes]:
    """The data set of any instance in one of `LOSSLESS`, one frame in memory at a time.

    Every element is as stored but the pixel data and what describes its encoding.

    Raises:
        InvalidInstance: it cannot be followed.
        UndecodablePixels: its pixel data cannot be decoded, or not be had in `wanted`; frames are encoded as
            they are asked for.
    """
    syntax = transfer_syntax(instance.transfer_syntax)
    replaced = _encoded_pixels(archive, instance, wanted) if instance.number_of_frames else {}
    return little_endian_data_set(archive.stream(instance), instance.size, syntax, replaced, implicit=False)


def _encoded_pixels(archive: Archive, instance: StoredInstance, wanted: str) -> dict[int, Replacement]:
    attributes, description = encodable(archive, instance, wanted)
    replaced: dict[int, Replacement] = {
        _PIXEL_DATA: lambda: _pixel_data(archive, instance, wanted, attributes),
        **dict.fromkeys(_OFFSET_TABLES, lambda: iter(())),
    }
    if description.samples > 1:
        colour = ENCODERS[wanted].colour.encode()
        colour += b" " * (len(colour) % 2)
        # PS3.3 C.7.6.3.1.3: the planes of a frame stand one after the other in RLE, as in no other.
        planar = struct.pack("<H", wanted == RLE)
        replaced[_PHOTOMETRIC] = lambda: iter([element_header(_PHOTOMETRIC, "CS", len(colour)) + colour])
        replaced[_PLANAR] = lambda: iter([element_header(_PLANAR, "US", 2) + planar])
    return replaced


def _pixel_data(
    archive: Archive, instance: StoredInstance, wanted: str, attributes: Attributes
) -> Iterator[bytes]:
    """A fragment for each frame, and an empty Basic Offset Table (PS3.5 A.4)."""
    yield element_header(_PIXEL_DATA, "OB", _UNDEFINED) + _item(0xE000, 0)
    for number in range(1, instance.number_of_frames + 1):
        frame = encoded_frame(archive, instance, number, wanted, attributes)
        yield _item(0xE000, len(frame) + len(frame) % 2) + frame + b"\0" * (len(frame) % 2)
    yield _item(0xE0DD, 0)


def _item(element: int, length: int) -> bytes:
    return struct.pack("<HHI", 0xFFFE, element, length)
