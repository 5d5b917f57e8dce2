"""Unicode to the text of a data set: Specific Character Set (PS3.3 C.12.1.1.2), extensions (PS3.5 6.1.2)."""

import re
from functools import lru_cache
from typing import Protocol

from pydicom.charset import encode_string, python_encoding

from storage.charset import charset

_DELIMITERS = re.compile(r"([\\^=\t\n\f\r])")
_HALF_WIDTH = "ISO_IR 13"


class TextEncoder(Protocol):
    """Text to bytes."""

    def __call__(self, text: str, *, name: bool = False) -> bytes:
        """Encode; `name` for VR PN. Raises `UnicodeError` when the character set lacks a character."""


def encoder_for(terms: tuple[str, ...]) -> TextEncoder | None:
    """How text is written with these values of Specific Character Set (0008,0005).

    None when one of them is not known: then nothing can be written for sure.
    """
    if not terms:
        return _default
    if any(term not in python_encoding for term in terms):
        return None
    if len(terms) == 1 and not terms[0].startswith("ISO 2022"):
        return _alone(terms[0])
    return _extended(terms)


def _default(text: str, *, name: bool = False) -> bytes:  # noqa: ARG001 - one form for all
    return text.encode("ascii")


def _alone(term: str) -> TextEncoder:
    codec: str = python_encoding[term]

    def encode(text: str, *, name: bool = False) -> bytes:  # noqa: ARG001 - one form for all
        encoded = text.encode(codec)
        if term == _HALF_WIDTH and len(encoded) != len(text):
            # The codec knows Kanji too, which JIS X 0201 lacks.
            raise UnicodeError(f"not in {term}")
        return encoded

    return encode


def _extended(terms: tuple[str, ...]) -> TextEncoder:
    """Text with escape sequences; what does not read back as it was is refused."""
    codecs = [python_encoding[term] for term in terms]
    reader = charset(terms, _ignore)
    piece = lru_cache(1024)(lambda text: _encoded(text, codecs))

    def encode(text: str, *, name: bool = False) -> bytes:
        if text.isascii():
            return text.encode("ascii")
        # Any delimiter ends an extension (PS3.5 6.1.2.5.3), so each part begins in the first character set.
        encoded = b"".join(
            part.encode("ascii") if part.isascii() else piece(part) for part in _DELIMITERS.split(text)
        )
        if reader.decode(encoded, _ignore, name=name) != text:
            raise UnicodeError("not in these character sets")
        return encoded

    return encode


def _encoded(text: str, codecs: list[str]) -> bytes:
    # Where it cannot write a character it warns and writes another: asked before, it is not led to.
    for character in text:
        if not any(_holds(codec, character) for codec in codecs):
            raise UnicodeError(f"no character set holds {character!r}")
    encoded: bytes = encode_string(text, codecs)
    return encoded


def _holds(codec: str, character: str) -> bool:
    try:
        character.encode(codec)
    except UnicodeError:
        return False
    return True


def _ignore(_: str) -> None:
    """What cannot be read back shows in the comparison."""
