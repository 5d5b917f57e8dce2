"""Lookup tables: a descriptor of three values and their entries (PS3.3 C.11.1.1, C.11.2.1.1, C.7.6.3.1.5)."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from storage.pixels.attributes import Attributes, numbers, words
from storage.pixels.description import Samples
from storage.pixels.errors import UndecodablePixels

_MAX_ENTRIES = 1 << 16
_DESCRIBED = 3
_FAR = 1 << 40
"""Outside of every table, and inside of what integers hold."""
_BYTE, _WORD = 8, 16
_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2

Descriptor = tuple[int, int, int]
"""Number of entries, first input value mapped, bits of an entry."""


def descriptor(attributes: Attributes, tag: str, *, signed: bool) -> Descriptor:
    """Read a LUT Descriptor; the first mapped value is signed where what goes in is, whatever VR was written.

    Raises:
        UndecodablePixels: it has not three values, or entries wider than a word.
    """
    given = numbers(attributes, tag)
    if len(given) != _DESCRIBED:
        raise UndecodablePixels(f"the LUT descriptor ({tag[:4]},{tag[4:]}) has {len(given)} values, not 3")
    entries, first, bits = (int(each) & 0xFFFF for each in given)
    if not 0 < bits <= _WORD:
        raise UndecodablePixels(f"a lookup table with entries of {bits} bits")
    if (signed or given[1] < 0) and first >= _MAX_ENTRIES // 2:
        first -= _MAX_ENTRIES
    return entries or _MAX_ENTRIES, first, bits


@dataclass(frozen=True, slots=True, eq=False)
class LookupTable:
    """Maps integers to unsigned integers; what lies outside takes the first or last entry."""

    first: int
    entries: npt.NDArray[np.uint16]
    bits: int

    @classmethod
    def of(cls, described: Descriptor, data: npt.NDArray[np.uint8]) -> Self:
        """From a descriptor and little endian entries, of one byte each or in words.

        Raises:
            UndecodablePixels: there are fewer entries than described.
        """
        count, first, bits = described
        in_bytes = bits <= _BYTE and data.size <= count + 1
        entries = data if in_bytes else data[: data.size & ~1].view("<u2")
        # One entry may be missing or padded where a writer counted in words; more is a broken table.
        if entries.size < count - 1 or not entries.size:
            raise UndecodablePixels(f"a lookup table of {count} entries holds {entries.size}")
        return cls(first, entries[:count].astype(np.uint16), bits)

    def map(self, values: Samples) -> npt.NDArray[np.uint16]:
        """The entry of each value, in the shape of `values`; fractions are dropped."""
        whole = values if values.dtype.kind in "iu" else np.clip(np.nan_to_num(values), -_FAR, _FAR)
        index = np.clip(whole.astype(np.int64), -_FAR, _FAR) - self.first
        return self.entries[np.clip(index, 0, self.entries.size - 1)]


def sequence_table(attributes: Attributes, *, signed: bool) -> LookupTable:
    """The table in one item of a Modality LUT or VOI LUT Sequence."""
    return LookupTable.of(descriptor(attributes, "00283002", signed=signed), words(attributes, "00283006"))


def expanded(data: npt.NDArray[np.uint8], described: Descriptor) -> npt.NDArray[np.uint8]:
    """The entries of a Segmented Palette Color Lookup Table (C.7.9.2), as little endian words.

    Raises:
        UndecodablePixels: a segment is of no known kind, runs over, or points where there is none.
    """
    codes = data[: data.size & ~1].view("<u2").astype(int).tolist() if described[2] > _BYTE else data.tolist()
    entries: list[int] = []
    try:
        _expand(codes, 0, len(codes), entries, described, nested=False)
    except IndexError:
        raise UndecodablePixels("a segmented palette ends inside a segment") from None
    return np.array(entries, "<u2").view(np.uint8)


def _expand(
    codes: list[int], position: int, segments: int, entries: list[int], described: Descriptor, *, nested: bool
) -> None:
    """Append what segments from `position` stand for; they may refer back, but not twice (C.7.9.2.3)."""
    while segments and position < len(codes) and len(entries) < described[0]:
        kind, length = codes[position], codes[position + 1]
        if kind == _DISCRETE:
            entries += codes[position + 2 : position + 2 + length]
            position += 2 + length
        elif kind == _LINEAR and entries:
            entries += (
                np.rint(np.linspace(entries[-1], codes[position + 2], length + 1)[1:]).astype(int).tolist()
            )
            position += 3
        elif kind == _INDIRECT and not nested:
            _expand(codes, _target(codes, position, described), length, entries, described, nested=True)
            position += 4 if described[2] > _BYTE else 6
        else:
            raise UndecodablePixels(f"a segmented palette has a segment of kind {kind} where none may be")
        segments -= 1


def _target(codes: list[int], position: int, described: Descriptor) -> int:
    """The index a byte offset in words or bytes, least significant first, points to (C.7.9.2.3)."""
    if described[2] > _BYTE:
        return (codes[position + 2] | codes[position + 3] << 16) // 2
    return sum(codes[position + 2 + at] << 8 * at for at in range(4))
