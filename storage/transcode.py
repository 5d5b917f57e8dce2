"""A stored object in Explicit or Implicit VR Little Endian, in one forward pass with one chunk in memory.

PS3.18 8.7.3 keeps Implicit VR and Big Endian out of web services, and makes Explicit VR Little Endian the
default; every DIMSE peer takes Implicit VR Little Endian (PS3.5 10.1). The bytes of every value stay as they
are, but for the byte order of numbers; what is around them is new. Group lengths are left out (PS3.5 7.2).
"""

import struct
import sys
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from storage.dictionary import value_representation
from storage.encoding import (
    BIG_ENDIAN,
    EXPLICIT,
    IMPLICIT,
    UNDEFINED,
    ElementHeader,
    ElementReader,
    Encoding,
    encoding_of,
    tag_name,
)
from storage.errors import InvalidInstance
from storage.transfer_syntax import TransferSyntax

EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"

# PS3.5 table 7.1-1
_LONG = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
_MAX_SHORT = 65534
# PS3.5 7.3: bytes of what is reordered.
_UNITS = dict.fromkeys(("AT", "OW", "SS", "US"), 2)
_UNITS |= dict.fromkeys(("FL", "OF", "OL", "SL", "UL"), 4)
_UNITS |= dict.fromkeys(("FD", "OD", "OV", "SV", "UV"), 8)
_ARRAY_TYPES = {2: "H", 4: "I", 8: "Q"}
_BINARY = frozenset({*_UNITS, "OB", "UI", "UN"})

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_PIXEL_DATA = 0x7FE00010
_BITS_ALLOCATED, _PIXEL_REPRESENTATION = 0x00280100, 0x00280103
_HEADER = 12
_WORD_BITS = 16
_LONGEST_REMEMBERED = 1024
_PIECE = 1 << 20

Scope = dict[str, Any]
Replacement = Callable[[], Iterator[bytes]]
"""Writes an element with its header, or nothing."""
HeaderWriter = Callable[[int, str, int], bytes]
"""Tag, VR and value length as they are written."""


def swapped(chunks: Iterable[bytes], unit: int) -> Iterator[bytes]:
    """`chunks` with each `unit` bytes (1, 2, 4 or 8) reversed; what is behind the last whole unit stays."""
    if unit == 1:
        yield from chunks
        return
    rest = b""
    for chunk in chunks:
        data = rest + chunk
        whole = len(data) - len(data) % unit
        numbers = array(_ARRAY_TYPES[unit], data[:whole])
        numbers.byteswap()
        yield numbers.tobytes()
        rest = data[whole:]
    if rest:
        yield rest


def word_size(vr: str, bits_allocated: int = 0) -> int:
    """Bytes of the units of a value of `vr` whose order depends on the transfer syntax (PS3.5 7.3).

    Args:
        vr: value representation.
        bits_allocated: of native pixel data, otherwise 0; samples of 32 and 64 bits are reordered as a whole.
    """
    if vr == "OW" and bits_allocated > _WORD_BITS:
        return bits_allocated // 8
    return _UNITS.get(vr, 1)


def explicit_little_endian(
    chunks: Iterable[bytes],
    size: int,
    syntax: TransferSyntax,
    replaced: Mapping[int, Replacement] | None = None,
) -> Iterator[bytes]:
    """The Part 10 file of the object in Explicit VR Little Endian.

    Args:
        chunks: the stored file.
        size: its length in bytes.
        syntax: its transfer syntax; with encapsulated pixel data, `replaced` must give native ones.
        replaced: elements of the data set that are written anew, by tag.

    Raises:
        InvalidInstance: the data set cannot be followed; the message names the tag.
    """
    source = _Source(chunks, size)
    transcoder = _Transcoder(source, replaced or {})
    yield transcoder.file_meta()
    if syntax.deflated:
        yield from _inflated(source.stream(size - source.position))
    else:
        yield from transcoder.data_set(encoding_of(syntax), size)


def little_endian_data_set(
    chunks: Iterable[bytes],
    size: int,
    syntax: TransferSyntax,
    replaced: Mapping[int, Replacement] | None = None,
    *,
    implicit: bool,
) -> Iterator[bytes]:
    """The data set alone, without file meta information, in Explicit or Implicit VR Little Endian.

    Args:
        chunks: the stored file.
        size: its length in bytes.
        syntax: its transfer syntax; with encapsulated pixel data, `replaced` must give native ones.
        replaced: elements of the data set that are written anew, by tag.
        implicit: write no VRs (PS3.5 A.1).

    Raises:
        InvalidInstance: the data set cannot be followed; the message names the tag.
    """
    source = _Source(chunks, size)
    _Transcoder(source, {}).file_meta()
    end = size
    if syntax.deflated:
        source = _Source(_inflated(source.stream(size - source.position)), sys.maxsize)
        end = sys.maxsize
    header = implicit_header if implicit else element_header
    yield from _Transcoder(source, replaced or {}, header).data_set(encoding_of(syntax), end)


def _inflated(chunks: Iterable[bytes]) -> Iterator[bytes]:
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        for chunk in chunks:
            data = chunk
            while data and not stream.eof:
                yield stream.decompress(data, _PIECE)
                data = stream.unconsumed_tail
    except zlib.error as error:
        raise InvalidInstance(f"the deflated data set is corrupt: {error}") from error
    yield stream.flush()


class _Source:
    """A file read forwards."""

    def __init__(self, chunks: Iterable[bytes], size: int) -> None:
        self._chunks = iter(chunks)
        self._buffer = b""
        self._start = 0
        self.position = 0
        self.size = size

    def peek(self, length: int) -> bytes:
        """Up to `length` next bytes."""
        missing = length - (len(self._buffer) - self._start)
        if missing > 0:
            parts = [self._buffer[self._start :]]
            while missing > 0 and (chunk := next(self._chunks, None)) is not None:
                parts.append(chunk)
                missing -= len(chunk)
            self._buffer, self._start = b"".join(parts), 0
        return self._buffer[self._start : self._start + length]

    def skip(self, length: int) -> None:
        """Pass over bytes that were peeked at."""
        self._start += length
        self.position += length

    def take(self, length: int) -> bytes:
        """The next `length` bytes."""
        data = self.peek(length)
        self.skip(len(data))
        return data

    def stream(self, length: int) -> Iterator[bytes]:
        """The next `length` bytes in chunks."""
        while length > 0:
            if self._start == len(self._buffer):
                self.peek(1)
            data = self.take(min(length, len(self._buffer) - self._start))
            if not data:
                return
            length -= len(data)
            yield data


def element_header(tag: int, vr: str, length: int) -> bytes:
    """Tag, VR and value length in Explicit VR Little Endian (PS3.5 7.1.2)."""
    place = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    return place + (struct.pack("<HI", 0, length) if vr in _LONG else struct.pack("<H", length))


def implicit_header(tag: int, _vr: str, length: int) -> bytes:
    """Tag and value length in Implicit VR Little Endian (PS3.5 7.1.3)."""
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, length)


def _item_header(tag: int, length: int) -> bytes:
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, length)


def _followed(read: ElementReader, source: _Source) -> ElementHeader:
    try:
        return read(source.peek(_HEADER), 0)
    except struct.error as error:
        raise InvalidInstance("the file ends within its file meta information or a sequence") from error


class _Transcoder:
    def __init__(
        self, source: _Source, replaced: Mapping[int, Replacement], header: HeaderWriter = element_header
    ) -> None:
        self._source = source
        self._replaced = replaced
        self._header = header
        self._scopes: list[Scope] = []

    def file_meta(self) -> bytes:
        """Preamble and file meta information (PS3.10 7.1) with the new transfer syntax."""
        source = self._source
        preamble = source.take(132) if source.peek(132)[128:] == b"DICM" else bytes(128) + b"DICM"
        elements = []
        while source.peek(2) == b"\x02\x00":
            tag, vr, length, start = _followed(EXPLICIT.element, source)
            source.skip(start)
            value = source.take(length)
            if tag == 0x00020010:  # noqa: PLR2004 - Transfer Syntax UID
                value = EXPLICIT_VR_LITTLE_ENDIAN.encode() + b"\0"
            if tag != 0x00020000:  # noqa: PLR2004 - File Meta Information Group Length, written anew
                elements.append(element_header(tag, vr or "UN", len(value)) + value)
        meta = b"".join(elements)
        return preamble + element_header(0x00020000, "UL", 4) + struct.pack("<I", len(meta)) + meta

    def data_set(self, encoding: Encoding, end: int, *, delimited: bool = False) -> Iterator[bytes]:
        """The elements up to position `end`, or to the item delimitation item."""
        source = self._source
        self._scopes.append({})
        while source.position < end:
            try:
                tag, vr, length, start = encoding.element(source.peek(_HEADER), 0)
            except struct.error:
                break  # a few bytes of padding behind the last element
            source.skip(start)
            if tag == _ITEM_END and delimited:
                break
            vr = vr or value_representation(tag, self._scopes)
            written = self._element(tag, vr, length, encoding, end)
            if len(self._scopes) == 1 and tag in self._replaced:
                for _ in written:
                    pass
                written = self._replaced[tag]()
            yield from written
        self._scopes.pop()

    def _element(self, tag: int, vr: str, length: int, encoding: Encoding, end: int) -> Iterator[bytes]:
        source = self._source
        if vr == "SQ" or (length == UNDEFINED and vr == "UN"):
            # An unknown sequence is written in Implicit VR Little Endian (PS3.5 6.2.2, note 2).
            inner = IMPLICIT if vr == "UN" else encoding
            stop = end if length == UNDEFINED else source.position + length
            yield self._header(tag, "SQ", UNDEFINED)
            yield from self._items(inner, stop)
            yield _item_header(_SEQUENCE_END, 0)
        elif length == UNDEFINED:
            yield self._header(tag, vr, UNDEFINED)
            yield from self._fragments(encoding, end)
        elif tag & 0xFFFF == 0:
            for _ in source.stream(length):
                pass
        else:
            yield from self._value(tag, vr, min(length, end - source.position), encoding)

    def _items(self, encoding: Encoding, end: int) -> Iterator[bytes]:
        source = self._source
        while source.position < end:
            tag, _, length, start = _followed(encoding.item, source)
            source.skip(start)
            if tag == _SEQUENCE_END:
                return
            if tag != _ITEM:
                raise InvalidInstance(f"{tag_name(tag)} in place of an item")
            yield _item_header(_ITEM, UNDEFINED)
            stop = end if length == UNDEFINED else source.position + length
            yield from self.data_set(encoding, stop, delimited=length == UNDEFINED)
            yield _item_header(_ITEM_END, 0)

    def _fragments(self, encoding: Encoding, end: int) -> Iterator[bytes]:
        """Encapsulated pixel data, which only a broken writer puts here, item by item as it is."""
        source = self._source
        while source.position < end:
            tag, _, length, start = _followed(encoding.item, source)
            source.skip(start)
            yield _item_header(tag, length)
            if tag == _SEQUENCE_END:
                return
            yield from source.stream(length)

    def _value(self, tag: int, vr: str, length: int, encoding: Encoding) -> Iterator[bytes]:
        written = vr if vr in _LONG or length <= _MAX_SHORT else "UN"  # PS3.18 8.7.3.4, note 3
        yield self._header(tag, written, length + length % 2)
        chunks: Iterable[bytes] = self._source.stream(length)
        if encoding is BIG_ENDIAN:
            bits = self._scopes[-1].get("00280100", {}).get("Value", [0])[0] if tag == _PIXEL_DATA else 0
            chunks = swapped(chunks, word_size(vr, bits))
        if self._is_remembered(tag) and length <= _LONGEST_REMEMBERED:
            chunks = [b"".join(chunks)]
            self._remember(tag, vr, chunks[0])
        yield from chunks
        if length % 2:
            yield b"\0" if vr in _BINARY else b" "

    @staticmethod
    def _is_remembered(tag: int) -> bool:
        creator = tag & 0x10000 and 0x10 <= tag & 0xFFFF <= 0xFF  # noqa: PLR2004 - PS3.5 7.8.1
        return bool(creator) or tag in {_BITS_ALLOCATED, _PIXEL_REPRESENTATION}

    def _remember(self, tag: int, vr: str, value: bytes) -> None:
        """Keep what the meaning of later elements depends on."""
        if vr == "US" and len(value) == 2:  # noqa: PLR2004 - one number
            known: Any = struct.unpack("<H", value)[0]
        else:
            known = value.decode("latin-1").strip(" \0")
        self._scopes[-1][f"{tag:08X}"] = {"vr": vr, "Value": [known]}
