"""The keys of a query (PS3.4 C.2.2) as a search of the archive, and an answer with just those keys."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dicom_node.contexts import QueryLevel
from dicom_node.identifier import (
    QUERY_RETRIEVE_LEVEL,
    SPECIFIC_CHARACTER_SET,
    Attributes,
    Identifier,
    as_text,
    empty,
)
from storage.errors import InvalidQuery
from storage.search import (
    BY_TAG,
    LEVELS,
    SERIES_TAGS,
    TIME_OF,
    Exact,
    Level,
    Match,
    OneOf,
    Range,
    Value,
    Wildcard,
    is_study_tag,
    with_joined_ranges,
)
from storage.zones import MOMENTS, TIMEZONE, days_around, read_offset

_Value = Exact | Wildcard | Range | OneOf
ARCHIVE_LEVEL: Mapping[str, Level] = {
    "PATIENT": "study",  # one answer for all studies of a patient
    "STUDY": "study",
    "SERIES": "series",
    "IMAGE": "instance",
}
RETRIEVE_AE_TITLE, INSTANCE_AVAILABILITY = "00080054", "00080056"
PATIENT_COUNTS = ("00201200", "00201202", "00201204")
"""Number of Patient Related Studies, Series, Instances."""

_NO_KEYS = frozenset(
    # Query/Retrieve View changes how others are meant, if negotiated.
    {SPECIFIC_CHARACTER_SET, QUERY_RETRIEVE_LEVEL, "00080053", RETRIEVE_AE_TITLE}
)
# PS3.4 C.2.2.2.4, C.2.2.2.5
_WITH_WILDCARDS = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
_WITH_RANGES = frozenset({"DA", "TM"})
_MOST_VALUES = 10_000


@dataclass(frozen=True, slots=True)
class Keys:
    """What an identifier asks for."""

    matches: tuple[Match, ...]
    include: tuple[str, ...]
    """Tags of what is to be answered and can be."""
    moments: Attributes
    """Dates and times in the time zone of the request, for which headers are read."""
    zone: int | None
    """Minutes east of UTC."""
    all_supported: bool
    """Every key is matched as it was given, and answered (PS3.4 C.4.1.1.4, FF00)."""


def read_keys(identifier: Identifier, level: QueryLevel, *, combined: bool = False) -> Keys:
    """The search that an identifier asks for.

    Args:
        identifier: of the request.
        level: of the request.
        combined: ranges of a date and its time are one range (PS3.4 C.2.2.2.5).

    Raises:
        InvalidQuery: a value does not make sense; the message names the attribute.
    """
    asked = {tag: element for tag, element in identifier.attributes.items() if tag not in _NO_KEYS}
    valued = {path: texts for tag, element in asked.items() for path, texts in _values(tag, element)}
    zone = _zone(valued.pop(TIMEZONE, ()))
    matched = {path for path in valued if path in BY_TAG and BY_TAG[path].matched}
    include = tuple(tag for tag in asked if _is_answered(tag, level))
    values: dict[str, Value] = {path: _value(path, valued[path]) for path in sorted(matched)}
    moments = {} if zone is None else _moments_in_zone(values, asked)
    return Keys(
        matches=tuple(
            Match(path, value) for path, value in (with_joined_ranges(values) if combined else values).items()
        ),
        include=include,
        moments=moments,
        zone=zone,
        all_supported=matched == valued.keys() and len(include) == len(asked),
    )


def _zone(texts: Sequence[str]) -> int | None:
    """The time zone in which dates and times are meant (PS3.4 C.2.2.2.5, C.5.1.1.1)."""
    if not texts:
        return None
    zone = read_offset(texts[0])
    if zone is None:
        raise InvalidQuery(f"TimezoneOffsetFromUTC: {texts[0][:64]!r} is no offset from UTC, such as +0100")
    return zone


def _moments_in_zone(values: dict[str, Value], asked: Mapping[str, Any]) -> Attributes:
    """The keys for dates and times, which are compared when headers are read; `values` keeps days around."""
    moments: Attributes = {}
    for tag in sorted(MOMENTS & values.keys()):
        value = values.pop(tag)
        moments[tag] = {"vr": asked[tag]["vr"], "Value": _as_asked(value)}
        if around := days_around(value) if tag in TIME_OF else None:
            values[tag] = around
    return moments


def _as_asked(value: Value) -> list[str]:
    match value:
        case Exact(text):
            return [text]
        case Range(low, high):
            return [f"{low or ''}-{high or ''}"]
        case OneOf(texts):
            return list(texts)
    raise InvalidQuery("dates and times have no wild cards")


def _values(path: str, element: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """The keys in an element that have values, by their paths."""
    if element.get("vr") == "SQ":
        for item in element.get("Value", ()):
            for tag, inner in (item or {}).items():
                yield from _values(f"{path}.{tag}", inner)
        return
    texts = [text for value in element.get("Value", ()) if (text := as_text(value).strip())]
    if texts and any(text.strip("*") for text in texts):
        yield path, texts


def _is_answered(tag: str, level: QueryLevel) -> bool:
    if tag in PATIENT_COUNTS:
        return level == "PATIENT"
    known = BY_TAG.get(tag)
    at = LEVELS.index(ARCHIVE_LEVEL[level])
    if level == "PATIENT":
        return tag[:4] == "0010" or tag == INSTANCE_AVAILABILITY
    if known:
        return LEVELS.index(known.level) <= at
    return at == LEVELS.index("instance") or is_study_tag(tag) or (level == "SERIES" and tag in SERIES_TAGS)


def _value(path: str, texts: list[str]) -> _Value:
    attribute = BY_TAG[path]
    if len(texts) > _MOST_VALUES:
        raise InvalidQuery(f"more than {_MOST_VALUES} values of {attribute.keyword}")
    wild = attribute.vr in _WITH_WILDCARDS and any(mark in text for text in texts for mark in "*?")
    ranged = attribute.vr in _WITH_RANGES and any("-" in text for text in texts)
    if len(texts) > 1:
        if wild or ranged:
            raise InvalidQuery(f"{attribute.keyword}: several values with wild cards or ranges among them")
        return OneOf(tuple(texts))
    (text,) = texts
    if wild:
        return Wildcard(text)
    if attribute.vr in _WITH_RANGES:
        # ACR-NEMA wrote dates and times with these (PS3.5 6.2, DA and TM).
        return _moment(attribute.keyword, text.replace("." if attribute.vr == "DA" else ":", ""))
    return Exact(text)


def _moment(keyword: str, text: str) -> Exact | Range:
    low, dash, high = (part.strip() for part in text.partition("-"))
    if not all(part.replace(".", "", 1).isdigit() for part in (low, high) if part):
        raise InvalidQuery(f"{keyword}: {text[:64]!r} is neither a value nor a range")
    if not dash:
        return Exact(low)
    return Range(low or None, high or None)


def always(level: str, aet: str) -> Attributes:
    """What every answer has beside the keys of the request (PS3.4 C.4.1.1.3.2).

    Args:
        level: of the request.
        aet: our AE title, from which it can be retrieved.
    """
    return {
        QUERY_RETRIEVE_LEVEL: {"vr": "CS", "Value": [level]},
        RETRIEVE_AE_TITLE: {"vr": "AE", "Value": [aet]},
        INSTANCE_AVAILABILITY: {"vr": "CS", "Value": ["ONLINE"]},
    }


def requested(found: Mapping[str, Any], identifier: Identifier) -> Attributes:
    """The keys of a request with the values that were found, empty where there is none."""
    return {
        tag: _chosen(element, found.get(tag))
        for tag, element in identifier.attributes.items()
        if tag != SPECIFIC_CHARACTER_SET
    }


def _chosen(asked: Mapping[str, Any], found: Mapping[str, Any] | None) -> dict[str, Any]:
    """An element of an answer; of the items of a sequence, the attributes that were asked for."""
    if found is None:
        return {"vr": asked["vr"]}
    wanted = (asked.get("Value") or [None])[0] if asked["vr"] == "SQ" else None
    if not wanted or found["vr"] != "SQ":
        return dict(found)
    items = [
        {tag: _chosen(inner, item.get(tag)) for tag, inner in wanted.items()}
        for item in found.get("Value", ())
    ]
    return {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}


def number(tag: str, value: int) -> Attributes:
    """An element with one number."""
    return {tag: empty(tag) | {"Value": [value]}}
