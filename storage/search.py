"""What may be asked: the matching kinds of PS3.4 C.2.2.2 as values; no SQL, no HTTP, no DIMSE."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["study", "series", "instance"]


@dataclass(frozen=True, slots=True)
class Exact:
    """Single value matching (C.2.2.2.1); person names and descriptions compare case-insensitively."""

    value: str


@dataclass(frozen=True, slots=True)
class Wildcard:
    """Wild card matching with `*` and `?` (C.2.2.2.4)."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Range:
    """Range matching, both ends included, either may be open (C.2.2.2.5)."""

    low: str | None
    high: str | None


@dataclass(frozen=True, slots=True)
class OneOf:
    """List of UID matching (C.2.2.2.2), and multiple values of other attributes (C.2.2.2.8)."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """One attribute and what its value must be.

    `tag` is eight upper-case hexadecimal digits; a path into a sequence joins tags by dots.
    """

    tag: str
    value: Exact | Wildcard | Range | OneOf


@dataclass(frozen=True, slots=True)
class Query:
    """A search at one level, newest study first.

    `include` names attributes (tags as in `Match`) wanted beyond the required ones; `("all",)` asks for every
    attribute known at that level. `limit` None means the server's own bound.
    """

    level: Level
    matches: tuple[Match, ...] = ()
    study: str | None = None
    series: str | None = None
    include: tuple[str, ...] = ()
    fuzzy: bool = False
    limit: int | None = None
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """Answers in order; each is a DICOM JSON object (PS3.18 F) as a dictionary."""

    answers: tuple[dict[str, object], ...]
    more: bool
    """There were further answers beyond the limit."""
