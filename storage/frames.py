"""Which bytes of the pixel data are which frame (PS3.5 8 and A.4; PS3.3 C.7.6.3)."""

import struct
from array import array
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from storage.encoding import Buffer
from storage.layout import Layout
from storage.transfer_syntax import TransferSyntax
from storage.walker import PixelData

_ITEM_HEADER = 8
_END_MARKER_WITHIN = 10
"""Bytes at the end of a frame in which its end marker may stand, padding behind it."""
_STARTS = (b"\xff\xd8", b"\xff\x4f\xff\x51", b"\xff\x0a", b"\x00\x00\x00\x0cJXL ")
"""First bytes of a JPEG or JPEG-LS image, JPEG 2000 codestream, JPEG XL codestream, JPEG XL container."""
_END = b"\xff\xd9"
_SUBSAMPLED = frozenset({"YBR_FULL_422", "YBR_PARTIAL_422"})

Warn = Callable[[str], None]


def frame_layout(
    pixels: PixelData | None,
    attributes: Mapping[str, Any],
    syntax: TransferSyntax,
    extended: Mapping[int, bytes],
    buffer: Buffer,
    warn: Warn,
) -> Layout:
    """The layout of a data set's frames, without its other big values.

    What cannot be told is left out with a warning: then `number_of_frames` is smaller than Number of Frames.

    Args:
        pixels: the data set's own pixel data, if any.
        attributes: the data set in the DICOM JSON Model.
        syntax: its transfer syntax.
        extended: values of (7FE0,0001) and (7FE0,0002), little endian.
        buffer: what the offsets of `pixels` count in.
        warn: called with what is wrong.
    """
    if pixels is None:
        return Layout()
    if not pixels.length:
        warn("no pixel data in it")
        return Layout()
    if pixels.encapsulated != syntax.encapsulated:
        is_, should = ("encapsulated", "native") if pixels.encapsulated else ("native", "encapsulated")
        warn(f"pixel data is {is_}, transfer syntax {syntax.name} has {should} pixel data: no frames")
        return Layout()
    declared = max(_integer(attributes, "00280008", 1), 1)
    if pixels.encapsulated:
        return _encapsulated(pixels, declared, syntax, extended, buffer, warn)
    return _native(pixels, declared, attributes, warn)


def _integer(attributes: Mapping[str, Any], tag: str, default: int) -> int:
    value = attributes.get(tag, {}).get("Value", [default])[0]
    return value if isinstance(value, int) else default


def _native(pixels: PixelData, declared: int, attributes: Mapping[str, Any], warn: Warn) -> Layout:
    bits = _frame_bits(attributes)
    available = pixels.length * 8 // bits if bits > 0 else 0
    if available < declared:
        warn(f"{pixels.length} bytes hold {available} of {declared} frames")
    frames = min(available, declared)
    if not frames:
        return Layout()
    return Layout(frames, native_offset=pixels.offset, frame_bits=bits)


def _frame_bits(attributes: Mapping[str, Any]) -> int:
    """Bits of one native frame (PS3.5 8.1.1); 0 where an attribute that says so is missing."""
    rows, columns = _integer(attributes, "00280010", 0), _integer(attributes, "00280011", 0)
    samples = _integer(attributes, "00280002", 1)
    allocated = _integer(attributes, "00280100", 0)
    if samples == 3 and attributes.get("00280004", {}).get("Value", [""])[0] in _SUBSAMPLED:  # noqa: PLR2004
        samples = 2  # two Y, one CB and one CR for two pixels (PS3.3 C.7.6.3.1.2)
    return rows * columns * samples * allocated


def _encapsulated(
    pixels: PixelData,
    declared: int,
    syntax: TransferSyntax,
    extended: Mapping[int, bytes],
    buffer: Buffer,
    warn: Warn,
) -> Layout:
    offsets, lengths = pixels.fragment_offsets, pixels.fragment_lengths
    fragments = len(offsets)
    if not fragments:
        warn("encapsulated without a fragment: no frames")
        return Layout()
    if syntax.video or declared == 1:
        return _fragmented(pixels, [0])
    if extended and (found := _by_extended_offsets(pixels, declared, extended, warn)):
        return found
    starts = _by_basic_offsets(pixels, declared, warn)
    if starts is None and fragments > declared:
        starts = _by_markers(pixels, declared, buffer)
    if starts is not None:
        return _fragmented(pixels, starts)
    if fragments > declared:
        warn(f"{fragments} fragments, {declared} frames and no offset table: frames cannot be told apart")
        return Layout()
    if fragments < declared:
        warn(f"{fragments} fragments hold {fragments} of {declared} frames")
    return Layout(fragments, fragment_offsets=offsets, fragment_lengths=lengths)


def _fragmented(pixels: PixelData, starts: Sequence[int]) -> Layout:
    one_each = len(starts) == len(pixels.fragment_offsets)
    return Layout(
        len(starts),
        fragment_offsets=pixels.fragment_offsets,
        fragment_lengths=pixels.fragment_lengths,
        frame_starts=array("Q", () if one_each else starts),
    )


def _fragment_indices(pixels: PixelData, table: Sequence[int]) -> list[int] | None:
    """Index of the fragment at each offset, counted from the first fragment's item; None unless ascending."""
    origin = pixels.fragment_offsets[0]
    at = {offset - origin: index for index, offset in enumerate(pixels.fragment_offsets)}
    indices = [at.get(offset, -1) for offset in table]
    ascending = all(first < second for first, second in pairwise(indices))
    return indices if indices and indices[0] == 0 and ascending else None


def _by_extended_offsets(
    pixels: PixelData, declared: int, extended: Mapping[int, bytes], warn: Warn
) -> Layout | None:
    """PS3.3 C.7.6.3.1.8: one fragment per frame, its length without padding."""
    offsets, lengths = (_unpacked(extended.get(tag, b""), "Q") for tag in (0x7FE00001, 0x7FE00002))
    indices = _fragment_indices(pixels, offsets)
    if indices is None or not len(indices) == len(lengths) == declared == len(pixels.fragment_offsets):
        warn("the Extended Offset Table does not fit the fragments, not used")
        return None
    if any(not 0 < length <= whole for length, whole in zip(lengths, pixels.fragment_lengths, strict=True)):
        warn("the Extended Offset Table Lengths do not fit the fragments, not used")
        return None
    return Layout(declared, fragment_offsets=pixels.fragment_offsets, fragment_lengths=array("Q", lengths))


def _by_basic_offsets(pixels: PixelData, declared: int, warn: Warn) -> list[int] | None:
    table = _unpacked(pixels.offset_table, "I")
    if not table:
        return None
    indices = _fragment_indices(pixels, table)
    if indices is None or len(indices) != declared:
        warn("the Basic Offset Table does not fit frames and fragments, not used")
        return None
    return indices


def _unpacked(table: bytes, code: str) -> tuple[int, ...]:
    size = struct.calcsize(code)
    return struct.unpack(f"<{len(table) // size}{code}", table[: len(table) // size * size])


def _by_markers(pixels: PixelData, declared: int, buffer: Buffer) -> list[int] | None:
    """Frames by the first or else the last bytes of their images; None when that does not give the number."""
    pieces = list(zip(pixels.fragment_offsets, pixels.fragment_lengths, strict=True))
    starts = [
        index for index, (offset, _) in enumerate(pieces) if buffer[offset : offset + 12].startswith(_STARTS)
    ]
    if starts[:1] == [0] and len(starts) == declared:
        return starts
    ends = [
        index + 1
        for index, (offset, length) in enumerate(pieces)
        if _END in buffer[offset + max(length - _END_MARKER_WITHIN, 0) : offset + length]
    ]
    if len(ends) == declared and ends[-1] == len(pieces):
        return [0, *ends[:-1]]
    return None
