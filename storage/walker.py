"""One pass over the bytes of a data set (PS3.5 7): DICOM JSON, and where the big values lie.

The pass is ours because reading a header is part of storing every object: it costs a tenth of what a general
library takes, and everything a hostile peer may send has a limit here.
"""

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn

from storage.charset import Charset, charset
from storage.dictionary import value_representation
from storage.encoding import (
    EXPLICIT,
    IMPLICIT,
    UNDEFINED,
    Buffer,
    ElementHeader,
    Encoding,
    tag_name,
)
from storage.errors import InvalidInstance
from storage.fragments import (
    ITEM,
    ITEM_END,
    MAX_OFFSET_TABLE,
    SEQUENCE_END,
    PixelData,
    item_header,
    read_fragments,
)
from storage.values import Attribute

DataSet = dict[str, Any]

MAX_DEPTH = 32
"""Sequences within sequences; the deepest structured reports in use have about ten."""
MAX_ELEMENTS = 1_000_000
"""Elements and items: the functional groups of 20,000 frames; about 0.5 GB while they are read."""
MAX_HEADER = 64 << 20
"""Bytes of all values in the JSON."""
INLINE_BUDGET = 16 << 20
"""Bytes of values in the JSON after which only short ones are still added to it."""
SHORT = 256
"""Bytes of a short value."""
MAX_WARNINGS = 50
"""Warnings kept; a broken writer repeats itself in every item."""

_CHARSET = 0x00080005
_FIRST = 0x00040000
"""Below are command and file meta elements, which are no part of a data set (PS3.5 7.1)."""
_LAST = 0x7FE00000
"""From here on come offset tables, pixel data and items."""
_PIXEL_DATA = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
_EXTENDED_OFFSETS = frozenset({0x7FE00001, 0x7FE00002})
_CHECKED_EVERY = 1024
_ENCAPSULATING = frozenset({"OB", "OW"})


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the data set an element stands."""

    path: str
    """Of the items around it: `00880200/0/`."""
    end: int
    encoding: Encoding
    delimited: bool = False
    """Ends with an item delimitation item, `end` is only the outer bound."""


@lru_cache(maxsize=8192)
def _key(tag: int) -> str:
    return f"{tag:08X}"


class Walker:
    """Reads one data set; afterwards its fields say what lies where."""

    def __init__(self, buffer: Buffer) -> None:
        self._buffer = buffer
        self._end = len(buffer)
        self._tag = 0
        self._elements = 0
        self._inline = 0
        self._scopes: list[DataSet] = []
        self._warnings: dict[str, None] = {}
        self.bulk: dict[str, tuple[int, int]] = {}
        self.pixel_data: PixelData | None = None
        self.extended_offsets: dict[int, bytes] = {}
        """Values of (7FE0,0001) and (7FE0,0002), PS3.3 C.7.6.3.1.8."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was wrong and read all the same; each names its tag."""
        return tuple(self._warnings)

    def read(self, start: int, encoding: Encoding) -> DataSet:
        """The data set from `start` to the end, in the DICOM JSON Model.

        Raises:
            InvalidInstance: it is no data set, or beyond a limit; the message names the tag.
        """
        return self._data_set(start, Charset(), _Place("", self._end, encoding))[0]

    def warn(self, text: str) -> None:
        """Keep a warning about the element being read."""
        if len(self._warnings) < MAX_WARNINGS:
            self._warnings[f"{tag_name(self._tag)}: {text}"] = None

    def _fail(self, text: str) -> NoReturn:
        raise InvalidInstance(f"{tag_name(self._tag)}: {text}")

    def _data_set(self, position: int, text: Charset, place: _Place) -> tuple[DataSet, int]:
        """One data set or item, and the position behind it."""
        found: DataSet = {}
        scopes = self._scopes
        scopes.append(found)
        buffer, end, warn = self._buffer, place.end, self.warn
        element, readers = place.encoding.element, place.encoding.readers
        last, ordered = _FIRST - 1, True
        while position < end:
            try:
                tag, vr, length, start = element(buffer, position)
            except (struct.error, InvalidInstance) as error:
                if self._zeros(position, end):
                    warn(f"{end - position} zero bytes behind it")
                    break
                tag, vr, length, start = self._without_vr(position, place, error)
            inside = place.encoding
            if vr is None:
                vr = value_representation(tag, scopes)
            elif vr == "UN":
                inside = IMPLICIT
                vr = value_representation(tag, scopes) if place.encoding.resolves_unknown else vr
            stop = start + length
            self._tag = tag
            self._elements += 1
            # The common element; one in many goes the long way all the same, where limits are checked.
            if (
                last < tag < _LAST
                and length <= SHORT
                and stop <= end
                and tag & 0xFFFF
                and tag != _CHARSET
                and vr in readers
                and self._elements % _CHECKED_EVERY
            ):
                found[_key(tag)] = readers[vr](vr, buffer[start:stop], text, warn)
                self._inline += length
                last, position = tag, stop
                continue
            if tag == ITEM_END and place.delimited:
                scopes.pop()
                return _in_order(found, ordered), start
            ordered = ordered and tag > last
            last = max(last, tag)
            position, text = self._unusual((tag, vr, length, start), inside, text, place)
        if place.delimited:
            self._fail("the item around it has no delimitation item")
        scopes.pop()
        return _in_order(found, ordered), end

    def _unusual(
        self, header: ElementHeader, encoding: Encoding, text: Charset, place: _Place
    ) -> tuple[int, Charset]:
        """One element of the innermost data set; the position behind it, the character set from there on."""
        tag, vr, length, start = header
        stop = start + length
        if tag >> 16 == ITEM >> 16:
            self._fail("an item or delimitation item outside a sequence")
        self._check_limits()
        if length == UNDEFINED or vr == "SQ":
            return self._compound(header, encoding, text, place), text
        if stop > place.end:
            self._cut_short(start, length, place)
        if tag < _FIRST:
            return self._skip_foreign(tag, start, stop, place), text
        if tag & 0xFFFF:  # group lengths are no part of the JSON (PS3.18 F.2.2)
            attribute = self._attribute(header, text, place)
            if tag == _CHARSET:
                text = self._charset(attribute)
            self._add(tag, attribute)
        return stop, text

    def _check_limits(self) -> None:
        if self._elements > MAX_ELEMENTS:
            self._fail(f"more than {MAX_ELEMENTS} elements")
        if self._inline > MAX_HEADER:
            self._fail(f"more than {MAX_HEADER} bytes of attributes")

    def _add(self, tag: int, attribute: Attribute) -> None:
        found = self._scopes[-1]
        if _key(tag) in found:
            self.warn("appears more than once, the last one counts")
        found[_key(tag)] = attribute

    def _skip_foreign(self, tag: int, start: int, stop: int, place: _Place) -> int:
        if tag == 0:
            if not self._zeros(start, place.end):
                self._fail("is no part of a data set, nor padding")
            self.warn(f"{place.end - start} zero bytes at the end")
            return place.end
        self.warn("is no part of a data set, left out")
        return stop

    def _cut_short(self, start: int, length: int, place: _Place) -> NoReturn:
        where = "its item" if place.end < self._end else "the file"
        raise InvalidInstance(
            f"cut short in {tag_name(self._tag)}: {place.end - start} of {length} bytes are in {where}"
        )

    def _without_vr(self, position: int, place: _Place, error: Exception) -> ElementHeader:
        """An element in which some writers of explicit VR forget the VR, mostly in private sequences."""
        after = f"after {tag_name(self._tag)}"
        vr = self._buffer[position + 4 : position + 6]
        if isinstance(error, struct.error) or place.encoding is not EXPLICIT or vr.isalpha():
            raise InvalidInstance(f"no element {after}: {error}") from None
        tag, _, length, start = header = IMPLICIT.element(self._buffer, position)
        if length != UNDEFINED and start + length > place.end:
            raise InvalidInstance(f"no element {after}: {error}") from None
        self._tag = tag
        self.warn("has no VR, read as implicit VR")
        return header

    def _zeros(self, position: int, end: int) -> bool:
        # In steps that begin small, since nearly always the first bytes decide.
        step = 16
        while position < end:
            piece = self._buffer[position : min(position + step, end)]
            if piece != bytes(len(piece)):
                return False
            position, step = position + step, 1 << 16
        return True

    def _charset(self, attribute: Attribute) -> Charset:
        terms = [term if isinstance(term, str) else None for term in attribute.get("Value", ())]
        if terms:
            attribute["Value"] = ["ISO_IR 192"]  # the JSON is UTF-8 whatever the file was
        return charset(terms, self.warn)

    def _attribute(self, header: ElementHeader, text: Charset, place: _Place) -> Attribute:
        """A value of defined length."""
        tag, named, length, start = header
        vr = named if named is not None and named in place.encoding.kinds else "UN"
        kind = place.encoding.kinds[vr]
        if tag in _EXTENDED_OFFSETS and not place.path:
            self._keep_extended_offsets(tag, start, length)
        if tag in _PIXEL_DATA:
            if not place.path:
                self.pixel_data = PixelData(tag, start, length)
            return self._bulk(vr, place.path + _key(tag), start, length)
        if kind.bulk and length > (kind.inline if self._inline <= INLINE_BUDGET else SHORT):
            return self._bulk(vr, place.path + _key(tag), start, length)
        if length > kind.inline:
            self._fail(f"{length} bytes of {vr}, at most {kind.inline} are read")
        self._inline += length
        return kind.read(vr, self._buffer[start : start + length], text, self.warn)

    def _keep_extended_offsets(self, tag: int, start: int, length: int) -> None:
        if length > MAX_OFFSET_TABLE:
            self._fail(f"{length} bytes of offsets, at most {MAX_OFFSET_TABLE} are read")
        self.extended_offsets[tag] = self._buffer[start : start + length]

    def _bulk(self, vr: str, path: str, start: int, length: int) -> Attribute:
        if not length:
            return {"vr": vr}
        self.bulk[path] = (start, length)
        return {"vr": vr, "BulkDataURI": f"bulkdata:{path}"}

    def _compound(self, header: ElementHeader, encoding: Encoding, text: Charset, place: _Place) -> int:
        """A sequence of items, or of fragments; the position behind it."""
        tag, vr, length, start = header
        if tag in _PIXEL_DATA or (vr in _ENCAPSULATING and length == UNDEFINED):
            return self._fragments(tag, start, place)
        # In implicit VR only its items tell a private sequence that the dictionaries do not know.
        if vr not in {"SQ", "UN"} and encoding is not IMPLICIT:
            self._fail(f"{vr} of undefined length")
        if len(self._scopes) > MAX_DEPTH:
            self._fail(f"nested deeper than {MAX_DEPTH} sequences")
        if length != UNDEFINED and start + length > place.end:
            self._cut_short(start, length, place)
        end = place.end if length == UNDEFINED else start + length
        inside = _Place(f"{place.path}{_key(tag)}/", end, encoding, delimited=length == UNDEFINED)
        items, stop = self._items(tag, start, text, inside)
        self._tag = tag
        self._add(tag, {"vr": "SQ", "Value": items} if items else {"vr": "SQ"})
        return stop

    def _items(self, tag: int, position: int, text: Charset, place: _Place) -> tuple[list[DataSet], int]:
        items: list[DataSet] = []
        while position < place.end:
            self._tag = tag
            self._elements += 1
            self._check_limits()
            marker, length, start = item_header(self._buffer, position, place.end, place.encoding.item, tag)
            if marker == SEQUENCE_END:
                return items, start if place.delimited else place.end
            if marker != ITEM:
                self._fail(f"{tag_name(marker)} where an item should be")
            item = _Place(
                f"{place.path}{len(items)}/",
                place.end if length == UNDEFINED else start + length,
                place.encoding,
                delimited=length == UNDEFINED,
            )
            found, position = self._data_set(start, text, item)
            items.append(found)
        if place.delimited:
            self._tag = tag
            self._fail("the sequence has no delimitation item")
        return items, position

    def _fragments(self, tag: int, start: int, place: _Place) -> int:
        pixels, stop = read_fragments(self._buffer, start, place.end, place.encoding.item, tag)
        if tag in _PIXEL_DATA and not place.path:
            self.pixel_data = pixels
        self._add(tag, self._bulk("OB", place.path + _key(tag), start, pixels.length))  # PS3.5 A.4
        return stop


def _in_order(found: DataSet, ordered: bool) -> DataSet:
    # PS3.18 F.2.2 asks for ascending order, as PS3.5 7.1 does; some writers keep neither.
    return found if ordered else dict(sorted(found.items()))
