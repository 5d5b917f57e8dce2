"""Identifiers of queries and retrievals (PS3.4 C.4): data sets small enough for memory, as DICOM JSON."""

import struct
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydicom.datadict import dictionary_VR

from dicom_node.text import TextEncoder, encoder_for
from storage.encoding import Encoding, encoding_of
from storage.errors import InvalidInstance
from storage.transfer_syntax import transfer_syntax
from storage.walker import Walker

Attributes = dict[str, Any]
"""Elements by tag (eight hexadecimal digits) as in the DICOM JSON Model (PS3.18 F.2)."""

SPECIFIC_CHARACTER_SET = "00080005"
QUERY_RETRIEVE_LEVEL = "00080052"
_CHARSET_TAG = 0x00080005
_MAX_SHORT = 0xFFFF

_NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "SV": "q", "UV": "Q"}
_LONG = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
_IN_CHARSET = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
"""VRs whose text is in the Specific Character Set (PS3.5 6.1.2.2)."""
_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


@dataclass(frozen=True, slots=True)
class Identifier:
    """The identifier of a request."""

    attributes: Attributes
    charset: tuple[str, ...]
    """Values of Specific Character Set (0008,0005); empty for the default repertoire."""

    @property
    def level(self) -> str:
        """Query/Retrieve Level; empty when there is none."""
        return self.text(QUERY_RETRIEVE_LEVEL)

    def text(self, tag: str) -> str:
        """The first value of an attribute; empty when there is none."""
        return next(iter(self.texts(tag)), "")

    def texts(self, tag: str) -> list[str]:
        """The values of an attribute that are not empty."""
        return [text for value in self.attributes.get(tag, {}).get("Value", ()) if (text := as_text(value))]


def as_text(value: Any) -> str:
    """A value of the DICOM JSON Model as it is written in a data set."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, dict):
        return "=".join(value.get(group, "") for group in _NAME_GROUPS).rstrip("=")
    return str(value)


def read_identifier(data: bytes, syntax_uid: str) -> Identifier:
    """The identifier that `data` holds.

    Raises:
        InvalidInstance: it is no data set in this transfer syntax.
    """
    encoding = encoding_of(transfer_syntax(syntax_uid))
    attributes = Walker(data).read(0, encoding)
    return Identifier(attributes, _charset(data, encoding) if SPECIFIC_CHARACTER_SET in attributes else ())


def _charset(data: bytes, encoding: Encoding) -> tuple[str, ...]:
    """Specific Character Set as it stands in the data set; what was read from it is all in Unicode."""
    at = 0
    while True:
        tag, _, length, start = encoding.element(data, at)
        at = start + length
        if tag == _CHARSET_TAG:
            text = data[start:at].decode("latin-1").strip(" \0")
            return tuple(term.strip(" ") for term in text.split("\\")) if text else ()
        if tag > _CHARSET_TAG:  # in a data set whose elements are not in order
            raise InvalidInstance("(0008,0005) is not where it belongs")


def write_identifier(attributes: Attributes, syntax_uid: str, charset: tuple[str, ...] = ()) -> bytes:
    """One data set, as an `IdentifierWriter` writes it."""
    return IdentifierWriter(syntax_uid, charset).write(attributes)


class IdentifierWriter:
    """Writes data sets in Explicit or Implicit VR Little Endian; elements that stay the same only once."""

    def __init__(self, syntax_uid: str, charset: tuple[str, ...] = ()) -> None:
        """Prepare to write.

        Args:
            syntax_uid: the transfer syntax.
            charset: what the peer can read for sure. It is used for a data set when all its text can be
                written in it, otherwise ISO_IR 192 (UTF-8); Specific Character Set (0008,0005) tells which.
        """
        implicit = transfer_syntax(syntax_uid).implicit
        self._elements = [
            _Elements(terms, encoder, implicit=implicit)
            for terms in (charset, ("ISO_IR 192",))
            if (encoder := encoder_for(terms)) is not None
        ]

    def write(self, attributes: Attributes) -> bytes:
        """A data set.

        Args:
            attributes: what it holds; values too big for the DICOM JSON Model are left out.
        """
        for elements in self._elements:
            try:
                return elements.write(attributes)
            except UnicodeError:
                continue
        raise InvalidInstance("the text cannot be written in UTF-8")


class _Elements:
    """Writes data sets with one character set."""

    def __init__(self, terms: tuple[str, ...], encoder: TextEncoder, *, implicit: bool) -> None:
        self._told: Attributes = {SPECIFIC_CHARACTER_SET: {"vr": "CS", "Value": list(terms)}} if terms else {}
        self._encoder = encoder
        self._implicit = implicit
        self._last: dict[str, tuple[Mapping[str, Any], bytes]] = {}
        """By tag what was written last: most of it is the same in the next answer."""

    def write(self, attributes: Attributes) -> bytes:
        return b"".join([self._again(*each) for each in sorted((attributes | self._told).items())])

    def _again(self, tag: str, element: Mapping[str, Any]) -> bytes:
        known = self._last.get(tag)
        if known and known[0] == element:
            return known[1]
        written = _element(tag, element, self._encoder, implicit=self._implicit)
        self._last[tag] = (element, written)
        return written


def _element(tag: str, element: Mapping[str, Any], encoder: TextEncoder, *, implicit: bool) -> bytes:
    if "BulkDataURI" in element:
        return b""
    vr = element["vr"]
    value = _sequence(element, encoder, implicit) if vr == "SQ" else _value(vr, element, encoder)
    return _header(int(tag, 16), vr, len(value), implicit=implicit) + value


def _header(tag: int, vr: str, length: int, *, implicit: bool) -> bytes:
    if implicit:
        return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, length)
    if vr not in _LONG and length > _MAX_SHORT:
        vr = "UN"  # PS3.5 6.2.2, note 5
    if vr in _LONG:
        return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr.encode(), 0, length)
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), length)


def _sequence(element: Mapping[str, Any], encoder: TextEncoder, implicit: bool) -> bytes:
    items = (
        b"".join(
            _element(tag, inner, encoder, implicit=implicit) for tag, inner in sorted((item or {}).items())
        )
        for item in element.get("Value", ())
    )
    return b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item for item in items)


def _value(vr: str, element: Mapping[str, Any], encoder: TextEncoder) -> bytes:
    if "InlineBinary" in element:
        return _even(b64decode(element["InlineBinary"]), b"\0")
    values = element.get("Value", ())
    if vr in _NUMBERS:
        return b"".join(struct.pack(f"<{_NUMBERS[vr]}", _number(vr, value)) for value in values)
    if vr == "AT":
        return b"".join(struct.pack("<HH", int(value[:4], 16), int(value[4:], 16)) for value in values)
    if vr in _IN_CHARSET:
        return _even(b"\\".join(encoder(as_text(value), name=vr == "PN") for value in values), b" ")
    written = "\\".join(map(as_text, values)).encode("latin-1", "replace")
    return _even(written, b"\0" if vr == "UI" else b" ")


def _number(vr: str, value: Any) -> float:
    # Not-a-number and infinities are strings in JSON.
    return float(value) if vr in {"FL", "FD"} else int(value)


def _even(data: bytes, pad: bytes) -> bytes:
    return data + pad * (len(data) % 2)


def empty(tag: str) -> dict[str, Any]:
    """The attribute without a value."""
    try:
        vr: str = dictionary_VR(int(tag, 16))
    except KeyError:
        vr = "UN"
    return {"vr": vr.split(" ")[0]}
