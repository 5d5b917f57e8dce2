"""DICOM JSON (PS3.18 F) as a data set in Explicit VR Little Endian, of values that are not trusted."""

import base64
import binascii
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from math import isfinite
from typing import Any

from pydicom.valuerep import format_number_as_ds

from storage.errors import InvalidInstance
from storage.transcode import element_header
from storage.walker import MAX_DEPTH

_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_TEXTS = frozenset({"AE", "AS", "CS", "DA", "DT", "LO", "LT", "SH", "ST", "TM", "UC", "UI", "UR", "UT"})
_NUMBERS = {"FD": "d", "FL": "f", "SL": "i", "SS": "h", "SV": "q", "UL": "I", "US": "H", "UV": "Q"}
_BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_KNOWN = _TEXTS | _BINARY | set(_NUMBERS) | {"AT", "DS", "IS", "PN", "SQ"}
_LONG = _BINARY | {"SQ", "SV", "UC", "UR", "UT", "UV"}
_MAX_SHORT, _MAX_LONG = 65534, 0xFFFFFFFE
_UNDEFINED = 0xFFFFFFFF
_ITEM = struct.pack("<HHI", 0xFFFE, 0xE000, _UNDEFINED)
_ITEM_END = struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
_SEQUENCE_END = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
_FIRST = 0x00080000
_CHARSET = 0x00080005
_MAX_DECIMAL = 16
_UTF_8 = {"vr": "CS", "Value": ["ISO_IR 192"]}

Attributes = Mapping[str, Any]
Chunks = tuple[int, Iterator[bytes]]
"""How many bytes, and the bytes."""
Resolve = Callable[[str], Chunks]
"""Gives the value that is under an address. Raises `InvalidInstance`."""
Replacement = Callable[[], Iterator[bytes]]
"""Writes an element with its header."""


def encode_data_set(
    attributes: Attributes, resolve: Resolve, replaced: Mapping[int, Replacement] | None = None
) -> Iterator[bytes]:
    """The data set, text as UTF-8, whatever Specific Character Set the JSON names (PS3.18 F.2).

    Args:
        attributes: a DICOM JSON object; group lengths and what is before group 0008 are left out.
        resolve: reads big values.
        replaced: elements that are written in another way, by tag.

    Raises:
        InvalidInstance: an attribute is malformed; the message names it.
    """
    named = _numbered(attributes)
    named[_CHARSET] = _UTF_8
    return _elements(named, 0, resolve, replaced or {})


def _numbered(attributes: Attributes) -> dict[int, Any]:
    if not isinstance(attributes, Mapping):
        raise InvalidInstance("a data set in the metadata is no JSON object")
    for tag, attribute in attributes.items():
        if not _TAG.fullmatch(tag):
            raise InvalidInstance(f"the metadata has an attribute {tag[:40]!r}, which is no tag")
        if not isinstance(attribute, Mapping):
            raise InvalidInstance(f"{tag} is no attribute of the DICOM JSON model")
    return {int(tag, 16): attribute for tag, attribute in attributes.items()}


def _elements(
    named: dict[int, Any], depth: int, resolve: Resolve, replaced: Mapping[int, Replacement]
) -> Iterator[bytes]:
    for tag in sorted(named):
        if tag < _FIRST or tag & 0xFFFF == 0:
            continue
        if tag in replaced:
            yield from replaced[tag]()
            continue
        yield from _element(tag, named[tag], depth, resolve)


def _element(tag: int, attribute: Attributes, depth: int, resolve: Resolve) -> Iterator[bytes]:
    vr = str(attribute.get("vr"))
    if vr not in _KNOWN:
        raise InvalidInstance(f"{tag:08X} has the value representation {vr[:16]!r}")
    if vr == "SQ":
        yield from _sequence(tag, _values(tag, attribute), depth + 1, resolve)
        return
    if "BulkDataURI" in attribute:
        length, chunks = resolve(str(attribute["BulkDataURI"]))
    else:
        value = _inline(tag, vr, attribute)
        length, chunks = len(value), iter([value])
    if length > _MAX_LONG:
        raise InvalidInstance(f"the value of {tag:08X} is too long")
    # PS3.18 8.7.3.4, note 3
    written = vr if vr in _LONG or length <= _MAX_SHORT else "UN"
    yield element_header(tag, written, length + length % 2)
    yield from chunks
    if length % 2:
        yield b"\0" if vr in _BINARY or vr == "UI" else b" "


def _sequence(tag: int, items: list[Any], depth: int, resolve: Resolve) -> Iterator[bytes]:
    if depth > MAX_DEPTH:
        raise InvalidInstance(f"the metadata has sequences more than {MAX_DEPTH} deep")
    yield element_header(tag, "SQ", _UNDEFINED)
    for item in items:
        content = _numbered({} if item is None else item)
        content.pop(_CHARSET, None)
        yield _ITEM
        yield from _elements(content, depth, resolve, {})
        yield _ITEM_END
    yield _SEQUENCE_END


def _values(tag: int, attribute: Attributes) -> list[Any]:
    values = attribute.get("Value", [])
    if not isinstance(values, list):
        raise InvalidInstance(f"the Value of {tag:08X} is no array")
    return values


def _inline(tag: int, vr: str, attribute: Attributes) -> bytes:
    """The value field of a value that is in the metadata."""
    if "InlineBinary" in attribute:
        try:
            return base64.b64decode(attribute["InlineBinary"], validate=True)
        except (binascii.Error, TypeError, ValueError) as error:
            raise InvalidInstance(f"the InlineBinary of {tag:08X} is no Base64") from error
    values = _values(tag, attribute)
    if vr in _BINARY and values:
        raise InvalidInstance(f"the binary value of {tag:08X} is neither InlineBinary nor BulkDataURI")
    try:
        if vr in _NUMBERS:
            convert = float if vr in {"FD", "FL"} else _whole
            numbers = [convert(each) for each in values if each is not None]
            return struct.pack(f"<{len(numbers)}{_NUMBERS[vr]}", *numbers)
        if vr == "AT":
            tags = [int(each, 16) for each in values if each is not None]
            halves = [half for each in tags for half in divmod(each, 0x10000)]
            return struct.pack(f"<{len(halves)}H", *halves)
        return "\\".join(_text(vr, each) for each in values).encode("utf-8", "replace")
    except (TypeError, ValueError, OverflowError, struct.error) as error:
        raise InvalidInstance(f"a value of {tag:08X} is no {vr[:16]}") from error


def _text(vr: str, value: Any) -> str:
    """One value as text. Raises `TypeError` or `ValueError`."""
    if value is None:
        return ""
    if vr == "PN":
        groups = value if isinstance(value, Mapping) else {"Alphabetic": value}
        texts = [_string(groups.get(name, "")) for name in ("Alphabetic", "Ideographic", "Phonetic")]
        return "=".join(texts).rstrip("=")
    if vr == "IS" and not isinstance(value, str):
        return str(_whole(value))
    if vr == "DS" and not isinstance(value, str):
        return _decimal(value)
    return _string(value)


def _decimal(value: Any) -> str:
    if not isfinite(value):
        raise ValueError(value)
    text = str(value)
    return text if len(text) <= _MAX_DECIMAL else str(format_number_as_ds(float(value)))


def _whole(value: Any) -> int:
    number = int(value)
    if isinstance(value, float) and number != value:
        raise ValueError(value)
    return number


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value
