"""Which bytes of the pixel data are which frame (PS3.5 8 and A.4; PS3.3 C.7.6.3)."""

import struct
from array import array
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from storage.encoding import Buffer
from storage.fragments import PixelData
from storage.layout import Layout
from storage.transfer_syntax import TransferSyntax
from storage.walker import Walker

_STARTS = (b"\xff\xd8", b"\xff\x4f\xff\x51", b"\xff\x0a", b"\x00\x00\x00\x0cJXL ")
"""First bytes of a JPEG or JPEG-LS image, JPEG 2000 codestream, JPEG XL codestream, JPEG XL container."""
_END = b"\xff\xd9"
_END_WITHIN = 10
"""Last bytes of a frame in which its end marker may stand, padding behind it."""
_SUBSAMPLED = frozenset({"YBR_FULL_422", "YBR_PARTIAL_422"})
_COLOUR = 3


class FrameFinder:
    """Finds the frames of one data set.

    What cannot be told is left out with a warning: then there are fewer frames than Number of Frames says.
    """

    def __init__(
        self, walked: Walker, attributes: Mapping[str, Any], syntax: TransferSyntax, buffer: Buffer
    ) -> None:
        self._pixels = walked.pixel_data
        self._extended = walked.extended_offsets
        self._warn = walked.warn
        self._attributes = attributes
        self._syntax = syntax
        self._buffer = buffer

    def layout(self) -> Layout:
        """Where the frames lie, without the other big values."""
        pixels = self._pixels
        if pixels is None:
            return Layout()
        if not pixels.length:
            self._warn("empty pixel data: no frames")
            return Layout()
        if pixels.encapsulated != self._syntax.encapsulated:
            kind = "encapsulated" if pixels.encapsulated else "native"
            self._warn(f"{kind} pixel data in transfer syntax {self._syntax.name}: no frames")
            return Layout()
        declared = max(self._integer("00280008", 1), 1)
        return self._encapsulated(pixels, declared) if pixels.encapsulated else self._native(pixels, declared)

    def _integer(self, tag: str, default: int) -> int:
        value = self._attributes.get(tag, {}).get("Value", [default])[0]
        return value if isinstance(value, int) else default

    def _native(self, pixels: PixelData, declared: int) -> Layout:
        bits = self._frame_bits()
        available = pixels.length * 8 // bits if bits > 0 else 0
        if available < declared:
            self._warn(f"{pixels.length} bytes hold {available} of {declared} frames")
        frames = min(available, declared)
        return Layout(frames, native_offset=pixels.offset, frame_bits=bits) if frames else Layout()

    def _frame_bits(self) -> int:
        """Bits of one native frame (PS3.5 8.1.1); 0 where an attribute that says so is missing."""
        samples = self._integer("00280002", 1)
        if samples == _COLOUR and self._attributes.get("00280004", {}).get("Value", [""])[0] in _SUBSAMPLED:
            samples = 2  # two Y, one CB and one CR for two pixels (PS3.3 C.7.6.3.1.2)
        pixels = self._integer("00280010", 0) * self._integer("00280011", 0)
        return pixels * samples * self._integer("00280100", 0)

    def _encapsulated(self, pixels: PixelData, declared: int) -> Layout:
        fragments = len(pixels.fragment_offsets)
        if not fragments:
            self._warn("encapsulated without a fragment: no frames")
            return Layout()
        if self._syntax.video or declared == 1:
            return _fragmented(pixels, [0])
        if self._extended and (layout := self._by_extended_offsets(pixels, declared)):
            return layout
        starts = self._by_basic_offsets(pixels, declared)
        if starts is None and fragments > declared:
            starts = self._by_markers(pixels, declared)
        if starts is not None:
            return _fragmented(pixels, starts)
        if fragments > declared:
            self._warn(f"{declared} frames in {fragments} fragments cannot be told apart: no frames")
            return Layout()
        if fragments < declared:
            self._warn(f"{fragments} fragments hold {fragments} of {declared} frames")
        return _fragmented(pixels, range(fragments))

    def _by_extended_offsets(self, pixels: PixelData, declared: int) -> Layout | None:
        """PS3.3 C.7.6.3.1.8: one fragment for each frame, and its length without padding."""
        offsets, lengths = (_unpacked(self._extended.get(tag, b""), "Q") for tag in (0x7FE00001, 0x7FE00002))
        starts = _fragments_at(pixels, offsets)
        wholes = pixels.fragment_lengths
        if starts is None or not len(starts) == len(lengths) == len(wholes) == declared:
            self._warn("the Extended Offset Table does not fit frames and fragments, not used")
            return None
        if any(not 0 < length <= whole for length, whole in zip(lengths, wholes, strict=True)):
            self._warn("the Extended Offset Table Lengths do not fit the fragments, not used")
            return None
        return Layout(
            declared, fragment_offsets=pixels.fragment_offsets, fragment_lengths=array("Q", lengths)
        )

    def _by_basic_offsets(self, pixels: PixelData, declared: int) -> Sequence[int] | None:
        table = _unpacked(pixels.offset_table, "I")
        if not table:
            return None
        starts = _fragments_at(pixels, table)
        if starts is None or len(starts) != declared:
            self._warn("the Basic Offset Table does not fit frames and fragments, not used")
            return None
        return starts

    def _by_markers(self, pixels: PixelData, declared: int) -> Sequence[int] | None:
        """By the first or else the last bytes of the images; None where that does not give the number."""
        offsets, lengths = pixels.fragment_offsets, pixels.fragment_lengths
        starts = [index for index, offset in enumerate(offsets) if self._starts_image(offset)]
        if starts[:1] == [0] and len(starts) == declared:
            return starts
        pieces = zip(offsets, lengths, strict=True)
        ends = [index for index, piece in enumerate(pieces, 1) if self._ends_image(*piece)]
        return [0, *ends[:-1]] if len(ends) == declared and ends[-1] == len(offsets) else None

    def _starts_image(self, offset: int) -> bool:
        return self._buffer[offset : offset + len(_STARTS[-1])].startswith(_STARTS)

    def _ends_image(self, offset: int, length: int) -> bool:
        return _END in self._buffer[offset + max(length - _END_WITHIN, 0) : offset + length]


def _fragmented(pixels: PixelData, starts: Sequence[int]) -> Layout:
    one_each = len(starts) == len(pixels.fragment_offsets)
    return Layout(
        len(starts),
        fragment_offsets=pixels.fragment_offsets,
        fragment_lengths=pixels.fragment_lengths,
        frame_starts=array("Q", () if one_each else starts),
    )


def _fragments_at(pixels: PixelData, table: Sequence[int]) -> list[int] | None:
    """Indices of the fragments whose items are at these offsets from the first one; None unless ascending."""
    offsets = pixels.fragment_offsets
    indices = [bisect_left(offsets, offset + offsets[0]) for offset in table]
    ascending = all(first < second for first, second in pairwise(indices))
    if not indices or not ascending or indices[-1] >= len(offsets):
        return None
    found = all(offsets[index] == offset + offsets[0] for index, offset in zip(indices, table, strict=True))
    return indices if found and indices[0] == 0 else None


def _unpacked(table: bytes, code: str) -> tuple[int, ...]:
    count = len(table) // struct.calcsize(code)
    return struct.unpack_from(f"<{count}{code}", table)
