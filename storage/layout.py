"""Where the frames and big values of one instance lie, so that reading one of them is one ranged read."""

import json
import struct
import zlib
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate, chain
from typing import Any, Self

from storage.errors import UnknownInstance

_VERSION = 1
_ENCODER = json.JSONEncoder(separators=(",", ":"))


def _numbers(values: Any = ()) -> "array[int]":
    return array("Q", values)


@dataclass(frozen=True, slots=True)
class Layout:
    """Byte positions inside one stored Part 10 file.

    Offsets count from the first byte of the file; when `deflated` is set, from the first byte of the inflated
    data set instead (PS3.5 A.5). Values are as stored: in the byte order of the transfer syntax.
    """

    number_of_frames: int = 0
    """Frames that can be read one by one: 0 without pixel data, 1 for a video (PS3.5 8.2.5 and later)."""
    deflated: bool = False
    bulk: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Path of a big value (`7FE00010`, `00880200/0/7FE00010`) → offset and length in bytes.

    For encapsulated pixel data the range covers all items, without the sequence delimitation item.
    """
    native_offset: int = 0
    """First byte of native (not encapsulated) frames."""
    frame_bits: int = 0
    """Bits of one native frame; frames follow each other without a gap (PS3.5 8.1.1). 0 when encapsulated."""
    fragment_offsets: "array[int]" = field(default_factory=_numbers)
    """First byte of each fragment's value, in order."""
    fragment_lengths: "array[int]" = field(default_factory=_numbers)
    """Bytes of each fragment."""
    frame_starts: "array[int]" = field(default_factory=_numbers)
    """Index of each frame's first fragment; empty when every fragment is one frame."""

    def frame(self, number: int) -> list[tuple[int, int]]:
        """Offset and length in bytes of the pieces of one frame.

        A native frame is one piece; when its bits do not start or end at a byte, the piece covers them and
        `bit_offset` says where they start.

        Args:
            number: counted from 1 (PS3.3 C.7.6.6).

        Raises:
            UnknownInstance: there is no such frame.
        """
        if not 1 <= number <= self.number_of_frames:
            raise UnknownInstance(f"there is no frame {number}: frames are 1 to {self.number_of_frames}")
        if self.frame_bits:
            first = (number - 1) * self.frame_bits
            start, end = first // 8, -(-(first + self.frame_bits) // 8)
            return [(self.native_offset + start, end - start)]
        first, last = self._fragments_of(number)
        return list(zip(self.fragment_offsets[first:last], self.fragment_lengths[first:last], strict=True))

    def bit_offset(self, number: int) -> int:
        """Bits to skip, 0 to 7 from the least significant, before the first pixel of a native frame."""
        return (number - 1) * self.frame_bits % 8

    def _fragments_of(self, number: int) -> tuple[int, int]:
        if not self.frame_starts:
            return number - 1, number
        following = self.frame_starts[number : number + 1]
        return self.frame_starts[number - 1], following[0] if following else len(self.fragment_offsets)

    def to_bytes(self) -> bytes:
        """A compact form for the index, read back by `from_bytes`."""
        head = [
            _VERSION,
            self.number_of_frames,
            int(self.deflated),
            self.native_offset,
            self.frame_bits,
            len(self.fragment_offsets),
            len(self.frame_starts),
            self.bulk,
        ]
        return _ENCODER.encode(head).encode() + b"\n" + self._table()

    def _table(self) -> bytes:
        if not self.fragment_offsets:
            return b""
        # Gaps between fragments are nearly all the same (an item header), so they cost next to nothing.
        ends = chain((0,), map(sum, zip(self.fragment_offsets, self.fragment_lengths, strict=True)))
        gaps = [offset - end for offset, end in zip(self.fragment_offsets, ends, strict=False)]
        numbers = [*gaps, *self.fragment_lengths, *self.frame_starts]
        return zlib.compress(struct.pack(f"<{len(numbers)}Q", *numbers))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The layout that `to_bytes` wrote.

        Raises:
            ValueError: it was written by another version of this program.
        """
        head, _, table = data.partition(b"\n")
        version, *rest = json.loads(head)
        if version != _VERSION:
            raise ValueError(f"layout of version {version}, this program reads {_VERSION}: run a reindex")
        frames, deflated, native_offset, frame_bits, fragments, starts, bulk = rest
        gaps, lengths, frame_starts = _split(table, fragments, starts)
        offsets = _numbers(
            end - length
            for end, length in zip(
                accumulate(map(sum, zip(gaps, lengths, strict=True))), lengths, strict=True
            )
        )
        ranges = {path: (offset, length) for path, (offset, length) in bulk.items()}
        return cls(frames, bool(deflated), ranges, native_offset, frame_bits, offsets, lengths, frame_starts)


def _split(table: bytes, fragments: int, starts: int) -> tuple["array[int]", "array[int]", "array[int]"]:
    numbers = struct.unpack(f"<{2 * fragments + starts}Q", zlib.decompress(table)) if table else ()
    return (
        _numbers(numbers[:fragments]),
        _numbers(numbers[fragments : 2 * fragments]),
        _numbers(numbers[2 * fragments :]),
    )
