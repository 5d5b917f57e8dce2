"""Text of a data set to Unicode: Specific Character Set (PS3.3 C.12.1.1.2), extensions (PS3.5 6.1.2)."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydicom.charset import CODES_TO_ENCODINGS, STAND_ALONE_ENCODINGS, default_encoding, python_encoding

Warn = Callable[[str], None]

_ESCAPE = re.compile(rb"(\x1b\$[()].|\x1b..)", re.DOTALL)
# Any of these ends a code extension (PS3.5 6.1.2.5.3), beside the `\` between values.
_TEXT_DELIMITERS = re.compile(rb"([\t\n\f\r\\])")
_NAME_DELIMITERS = re.compile(rb"([\t\n\f\r\\^=])")
_TWO_BYTE_G0 = {b"\x1b$B", b"\x1b$(D"}
_G0 = {b"\x1b(B", b"\x1b(J"}


@dataclass(frozen=True, slots=True)
class Charset:
    """How the text of one data set is to be read."""

    encoding: str = default_encoding
    """Python codec of value 1; the default repertoire is read as Latin-1, a superset."""
    extended: bool = True
    """Escape sequences may switch to other character sets."""
    declared: bool = False
    """The data set, or one around it, has a Specific Character Set other than the default."""

    def decode(self, raw: bytes, warn: Warn, *, name: bool = False) -> str:
        """The text, with U+FFFD for what cannot be read; `name` for VR PN."""
        if self.extended and b"\x1b" in raw:
            return self._extended(raw, _NAME_DELIMITERS if name else _TEXT_DELIMITERS, warn)
        if not self.declared:
            if not raw.isascii():
                warn("text beyond ASCII without a Specific Character Set, read as Latin-1")
            return raw.decode(default_encoding)
        return _decoded(raw, self.encoding, warn)

    def _extended(self, raw: bytes, delimiters: re.Pattern[bytes], warn: Warn) -> str:
        first, *escapes = _ESCAPE.split(raw)
        text = [_decoded(first, self.encoding, warn)]
        high = self.encoding
        for escape, part in zip(escapes[::2], escapes[1::2], strict=True):
            codec = CODES_TO_ENCODINGS.get(escape)
            if codec is None:
                warn(f"unknown escape sequence {escape!r} left out")
                text.append(_decoded(part, self.encoding, warn))
            elif escape in _TWO_BYTE_G0:
                text.append(_decoded(escape + part, codec, warn))
            else:
                # G0 is ASCII-like in every other set, so only what the upper half means has to be kept.
                high = high if escape in _G0 else codec
                inside, *rest = delimiters.split(part, maxsplit=1)
                text.append(_decoded(inside, high, warn))
                if rest:
                    high = self.encoding
                    text.append(_decoded(b"".join(rest), high, warn))
        return "".join(text)


def _decoded(raw: bytes, codec: str, warn: Warn) -> str:
    try:
        return raw.decode(codec)
    except UnicodeError:
        warn(f"text is not valid {codec}, unreadable characters replaced")
        return raw.decode(codec, errors="replace")


def charset(terms: Sequence[str | None], warn: Warn) -> Charset:
    """The character set that the values of Specific Character Set (0008,0005) name."""
    first = _normal(terms[0] if terms else None)
    extended = first not in STAND_ALONE_ENCODINGS
    if extended and any(_normal(term) in STAND_ALONE_ENCODINGS for term in terms[1:]):
        warn("a character set that stands alone is named as an extension, left out")
    codec = python_encoding.get(first)
    if codec is None:
        warn(f"unknown Specific Character Set {first!r}, text is read as Latin-1")
        return Charset(default_encoding, extended, declared=True)
    declared = bool(first) and first not in {"ISO_IR 6", "ISO 2022 IR 6"}
    return Charset(codec, extended, declared or len(terms) > 1)


def _normal(term: str | None) -> str:
    """The defined term meant by common misspellings such as `ISO-IR 100` or `iso_ir 192`."""
    text = (term or "").strip().upper()
    return re.sub(r"^ISO.2022.IR.", "ISO 2022 IR ", re.sub(r"^ISO.IR.", "ISO_IR ", text))
