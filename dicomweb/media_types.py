"""Media types and content negotiation (RFC 9110 12.5.1, PS3.18 8.7): pure functions over header values.

DICOM media types carry a `transfer-syntax` parameter, and hide the type that matters inside
`multipart/related; type=…`; clients quote both, one or neither.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from dicomweb.problems import NotAcceptable

DICOM = "application/dicom"
DICOM_JSON = "application/dicom+json"
DICOM_XML = "application/dicom+xml"
JSON = "application/json"
OCTETS = "application/octet-stream"
ZIP = "application/zip"
PROBLEM = "application/problem+json"

_ALIASES = {
    "image/x-dicom-rle": "image/dicom-rle",
    "image/x-jls": "image/jls",
    "image/j2c": "image/jp2",
    "image/jhc": "image/jphc",
}
_MAX_HEADER = 8192
_MAX_RANGES = 64
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


@dataclass(frozen=True, slots=True)
class MediaType:
    """One parsed media type; names are lower case, parameter values unquoted."""

    name: str
    parameters: dict[str, str] = field(default_factory=dict)


def split(text: str, separator: str) -> Iterator[str]:
    """`text` cut at `separator`, except inside quoted strings."""
    start, quoted, escaped = 0, False, False
    for position, character in enumerate(text):
        if escaped:
            escaped = False
        elif quoted and character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character == separator and not quoted:
            yield text[start:position]
            start = position + 1
    yield text[start:]


def _unquoted(value: str) -> str:
    value = value.strip()
    if len(value) >= 2 and value[0] == value[-1] == '"':  # noqa: PLR2004 - a pair of quotes
        return re.sub(r"\\(.)", r"\1", value[1:-1])
    return value


def parse_media_type(text: str) -> MediaType | None:
    """The media type in `text`, None when it is none; values may lack the quotes that RFC 9110 wants."""
    name, *rest = split(text, ";")
    name = name.strip().lower()
    main, _, sub = name.partition("/")
    if not (_TOKEN.fullmatch(main) and _TOKEN.fullmatch(sub)):
        return None
    pairs = (part.partition("=") for part in rest if part.strip())
    return MediaType(name, {key.strip().lower(): _unquoted(value) for key, _, value in pairs})


@dataclass(frozen=True, slots=True)
class Offer:
    """One form in which a resource can be given.

    `media` is the type of each part where `multipart`; `transfer_syntax` is None where the type has none.
    """

    media: str
    transfer_syntax: str | None = None
    multipart: bool = False

    @property
    def part_type(self) -> str:
        """`Content-Type` of the body, or of each part."""
        if self.transfer_syntax is None:
            return self.media
        return f"{self.media}; transfer-syntax={self.transfer_syntax}"

    def __str__(self) -> str:
        if not self.multipart:
            return self.part_type
        suffix = "" if self.transfer_syntax is None else f"; transfer-syntax={self.transfer_syntax}"
        return f'multipart/related; type="{self.media}"{suffix}'


@dataclass(frozen=True, slots=True)
class _Range:
    """One entry of an Accept header."""

    media: str
    multipart: bool | None
    transfer_syntax: str | None
    quality: float

    def specificity(self, offer: Offer, default_syntax: str | None) -> int | None:
        """How closely this entry names `offer`; None when it does not."""
        if self.multipart is not None and self.multipart != offer.multipart:
            return None
        media = _media_specificity(self.media, offer.media)
        syntax = self._syntax_specificity(offer, default_syntax)
        if media is None or syntax is None:
            return None
        return 4 * media + syntax

    def _syntax_specificity(self, offer: Offer, default_syntax: str | None) -> int | None:
        if offer.transfer_syntax is None or self.transfer_syntax == "*":
            return 1
        if self.transfer_syntax is not None:
            return 3 if self.transfer_syntax == offer.transfer_syntax else None
        if "*" in self.media or default_syntax is None:
            return 1
        return 2 if default_syntax == offer.transfer_syntax else None


def _media_specificity(wanted: str, offered: str) -> int | None:
    if wanted == offered:
        return 3
    if wanted.endswith("/*") and wanted != "*/*":
        return 2 if offered.startswith(wanted[:-1]) else None
    return 1 if wanted == "*/*" else None


def weight(text: str) -> float:
    """The value of a `q` parameter, within 0 and 1; 1 where it is none."""
    try:
        value = float(text)
    except ValueError:
        return 1.0
    return min(max(value, 0.0), 1.0) if value == value else 1.0  # noqa: PLR0124 - not a number


def standard_name(media: str) -> str:
    """The name in PS3.18 of a media type that some clients call otherwise (8.7.3.3.2, note 3)."""
    return _ALIASES.get(media, media)


def _range_of(entry: MediaType) -> _Range:
    quality = weight(entry.parameters.get("q", "1"))
    syntax = entry.parameters.get("transfer-syntax") or None
    if entry.name == "multipart/related":
        inner = parse_media_type(entry.parameters.get("type", "*/*"))
        return _Range(standard_name(inner.name) if inner else "*/*", True, syntax, quality)
    if entry.name == "*/*":
        return _Range("*/*", None, syntax, quality)
    if entry.name == "multipart/*":
        return _Range("*/*", True, syntax, quality)
    return _Range(standard_name(entry.name), False, syntax, quality)


class Accept:
    """What a client takes: the Accept header, overridden by the `accept` query parameter (PS3.18 8.3.3.1)."""

    def __init__(self, header: str | None, parameter: str | None = None) -> None:
        """Both may be absent or empty, which means anything; what is no media type is passed over."""
        # In a query a "+" stands for a space, and some clients leave it so: dicom json.
        text = re.sub(r"(?<=\w) (?=\w)", "+", parameter) if parameter else (header or "*/*")
        entries = (parse_media_type(part) for part in split(text[:_MAX_HEADER], ",") if part.strip())
        self._ranges = [_range_of(entry) for entry in entries if entry is not None][:_MAX_RANGES]

    def choose(self, offers: Sequence[Offer], defaults: dict[str, str] | None = None) -> Offer:
        """The offer the client likes best; between equals its own order counts, then that of `offers`.

        Args:
            offers: what can be given, best first.
            defaults: per media type the transfer syntax meant by an entry that names none (PS3.18 8.7.3);
                without one, such an entry takes any.

        Raises:
            NotAcceptable: none of `offers` is taken; the message names them.
        """
        best: tuple[tuple[float, int, int], Offer] | None = None
        for number, offer in enumerate(offers):
            rank = self._rank(offer, (defaults or {}).get(offer.media))
            if rank is not None and (best is None or (*rank, -number) > best[0]):
                best = ((*rank, -number), offer)
        if best is None:
            raise NotAcceptable(
                "none of the accepted media types is available; available: " + _listed(offers)
            )
        return best[1]

    def quality(self, offer: Offer, defaults: dict[str, str] | None = None) -> float:
        """How much the client likes `offer`, from 0 (not at all) to 1; `defaults` as for `choose`."""
        rank = self._rank(offer, (defaults or {}).get(offer.media))
        return rank[0] if rank else 0.0

    def _rank(self, offer: Offer, default_syntax: str | None) -> tuple[float, int] | None:
        """Quality, and minus the place, of the entry that names `offer` most closely."""
        closest: tuple[int, int, float] | None = None
        for place, entry in enumerate(self._ranges):
            specificity = entry.specificity(offer, default_syntax)
            if specificity is not None and (closest is None or specificity > closest[0]):
                closest = (specificity, -place, entry.quality)
        if closest is None or closest[2] == 0:
            return None
        return closest[2], closest[1]


@lru_cache(maxsize=256)
def accept_of(header: str | None, parameter: str | None) -> Accept:
    """What a client takes: clients say the same again and again."""
    return Accept(header, parameter)


def _listed(offers: Iterable[Offer]) -> str:
    return ", ".join(dict.fromkeys(str(offer) for offer in offers)) or "nothing"
