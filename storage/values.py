"""One value field to its attribute object in the DICOM JSON Model (PS3.18 F.2), by value representation."""

from array import array
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from struct import Struct, calcsize, iter_unpack
from types import MappingProxyType
from typing import Any

from storage.charset import Charset, Warn

Attribute = dict[str, Any]
Reader = Callable[[str, bytes, Charset, Warn], Attribute]

_MAX_NUMBER_TEXT = 64
"""Characters of one IS or DS value; PS3.5 6.2 allows 12 and 16, writers of full double precision need 24."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How values of one VR are read."""

    read: Reader
    inline: int
    """Bytes up to which the value stands in the JSON."""
    bulk: bool
    """A bigger value may become a BulkDataURI (PS3.18 F.2.2)."""


def _listed(vr: str, texts: list[str]) -> Attribute:
    # Empty values among others are null, an empty value field is no Value at all (PS3.18 F.2.5).
    return {"vr": vr, "Value": [text or None for text in texts]}


def _clean(text: str, warn: Warn) -> str:
    if "\0" in text:
        warn("NUL characters left out")
        return text.replace("\0", "")
    return text


def _code(vr: str, raw: bytes, _charset: Charset, warn: Warn) -> Attribute:
    """VRs of the default character repertoire in which spaces at both ends mean nothing."""
    text = raw.decode("latin-1").strip(" \0")
    if "\0" in text:
        text = _clean(text, warn)
    if "\\" in text:
        return _listed(vr, [part.strip(" ") for part in text.split("\\")])
    return {"vr": vr, "Value": [text]} if text else {"vr": vr}


def _label(vr: str, raw: bytes, charset: Charset, warn: Warn) -> Attribute:
    text = _clean(charset.decode(raw, warn).rstrip(" \0"), warn)
    if "\\" in text:
        return _listed(vr, [part.rstrip(" ") for part in text.split("\\")])
    return {"vr": vr, "Value": [text]} if text else {"vr": vr}


def _text(vr: str, raw: bytes, charset: Charset, warn: Warn) -> Attribute:
    """One value, in which a backslash is a character like others (PS3.5 6.2: LT, ST, UT)."""
    text = _clean(charset.decode(raw, warn).rstrip(" \0"), warn)
    return {"vr": vr, "Value": [text]} if text else {"vr": vr}


def _uri(vr: str, raw: bytes, _charset: Charset, warn: Warn) -> Attribute:
    text = _clean(raw.decode("latin-1").rstrip(" \0"), warn)
    return {"vr": vr, "Value": [text]} if text else {"vr": vr}


_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def _person(text: str) -> dict[str, str] | None:
    groups = zip(_GROUPS, text.split("=", 2), strict=False)
    return {name: group for name, part in groups if (group := part.rstrip(" "))} or None


def _names(vr: str, raw: bytes, charset: Charset, warn: Warn) -> Attribute:
    text = _clean(charset.decode(raw, warn, name=True).rstrip(" \0"), warn)
    if not text:
        return {"vr": vr}
    persons = [_person(part) for part in text.split("\\")]
    return {"vr": vr, "Value": persons} if persons != [None] else {"vr": vr}


def _integer(text: str, warn: Warn) -> int | str | None:
    try:
        if len(text) <= _MAX_NUMBER_TEXT and "_" not in text:
            return int(text)
    except ValueError:
        number = _decimal(text, warn)
        # 1.0 is no Integer String, yet written by some; its meaning is plain.
        if isinstance(number, float) and number.is_integer():
            return int(number)
        if not isinstance(number, float):
            return number
    warn(f"not an Integer String: {text[:_MAX_NUMBER_TEXT]!r}")
    return text


def _decimal(text: str, warn: Warn) -> float | str | None:
    try:
        if len(text) <= _MAX_NUMBER_TEXT and "_" not in text and isfinite(number := float(text)):
            return number
    except ValueError:
        if not (text := text.strip()):
            return None
    warn(f"not a number: {text[:_MAX_NUMBER_TEXT]!r}")
    return text


def _number_strings(parse: Callable[[str, Warn], int | float | str | None]) -> Reader:
    def read(vr: str, raw: bytes, _charset: Charset, warn: Warn) -> Attribute:
        text = _clean(raw.decode("latin-1").strip(" \0"), warn)
        if not text:
            return {"vr": vr}
        if "\\" in text:
            return {"vr": vr, "Value": [parse(part, warn) for part in text.split("\\")]}
        return {"vr": vr, "Value": [parse(text, warn)]}

    return read


def _json_number(number: float) -> float | str:
    # JSON has no such numbers; these strings are what JavaScript's Number() and Python's float() read back.
    if number != number:  # noqa: PLR0124 - the definition of NaN, several times as fast as math.isnan
        return "NaN"
    return number if isfinite(number) else ("Infinity" if number > 0 else "-Infinity")


def _numbers(order: str, code: str) -> Reader:
    one = Struct(order + code)
    size = one.size
    floating = code in "fd"

    def read(vr: str, raw: bytes, _charset: Charset, warn: Warn) -> Attribute:
        if len(raw) == size:
            values = list(one.unpack(raw))
        elif excess := len(raw) % size:
            warn(f"{len(raw)} bytes are no whole number of {vr} values, the last {excess} left out")
            values = [value for (value,) in iter_unpack(order + code, raw[:-excess])]
        else:
            values = [value for (value,) in iter_unpack(order + code, raw)]
        if floating and not all(map(isfinite, values)):
            values = [_json_number(value) for value in values]
        return {"vr": vr, "Value": values} if values else {"vr": vr}

    return read


def _tags(order: str) -> Reader:
    pairs = f"{order}HH"

    def read(vr: str, raw: bytes, _charset: Charset, warn: Warn) -> Attribute:
        if excess := len(raw) % 4:
            warn(f"{len(raw)} bytes are no whole number of tags, the last {excess} left out")
            raw = raw[:-excess]
        values = [f"{group:04X}{element:04X}" for group, element in iter_unpack(pairs, raw)]
        return {"vr": vr, "Value": values} if values else {"vr": vr}

    return read


_NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "SV": "q", "UV": "Q"}
_WORDS = {"OW": "H", "OF": "I", "OL": "I", "OD": "Q", "OV": "Q"}
_UNSIGNED = {2: "H", 4: "I", 8: "Q"}


def little_endian(vr: str, raw: bytes) -> bytes:
    """A value field of a big endian data set (PS3.5 A.3) in the byte order of PS3.18 F.2.7."""
    code = _WORDS.get(vr) or _NUMBERS.get(vr)
    if code is None:
        return raw
    words = array(code if code.isupper() else _UNSIGNED[calcsize(code)])
    whole = len(raw) - len(raw) % words.itemsize
    words.frombytes(raw[:whole])
    words.byteswap()
    return words.tobytes() + raw[whole:]


def _binary(vr: str, raw: bytes, _charset: Charset, _warn: Warn) -> Attribute:
    return {"vr": vr, "InlineBinary": b64encode(raw).decode("ascii")} if raw else {"vr": vr}


def _swapped(vr: str, raw: bytes, charset: Charset, warn: Warn) -> Attribute:
    return _binary(vr, little_endian(vr, raw), charset, warn)


MAX_INLINE = 1 << 20
"""Bytes of one value in the JSON: generous, because viewers take contours and graphics only as numbers."""
MAX_INLINE_BINARY = 1 << 10
"""Bytes of one binary value in the JSON: base64 of more costs every reader of metadata, used or not."""


def kinds(order: str) -> Mapping[str, Kind]:
    """All VRs but SQ, for values in byte order `<` or `>`."""
    readers: dict[str, Reader] = dict.fromkeys(("AE", "AS", "CS", "DA", "DT", "TM", "UI"), _code)
    readers |= dict.fromkeys(("LO", "SH", "UC"), _label) | dict.fromkeys(("LT", "ST", "UT"), _text)
    readers |= {"UR": _uri, "PN": _names, "AT": _tags(order)}
    readers |= {"DS": _number_strings(_decimal), "IS": _number_strings(_integer)}
    readers |= {vr: _numbers(order, code) for vr, code in _NUMBERS.items()}
    bulk = {"DS", "IS", "LT", "ST", "UC", "UT", *_NUMBERS}
    table = {vr: Kind(read, MAX_INLINE, vr in bulk) for vr, read in readers.items()}
    binary = Kind(_binary if order == "<" else _swapped, MAX_INLINE_BINARY, bulk=True)
    return MappingProxyType(table | dict.fromkeys((*_WORDS, "OB", "UN"), binary))
