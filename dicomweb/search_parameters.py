"""QIDO-RS query parameters (PS3.18 8.3.4) → `storage.search.Query`: pure, and strict about its input."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword

from dicomweb.problems import BadRequest
from storage.errors import InvalidQuery
from storage.instances import checked_uid
from storage.key_matching import Keys
from storage.search import (
    BY_TAG,
    LEVELS,
    Empty,
    Exact,
    Level,
    Match,
    OneOf,
    Query,
    Range,
    Value,
    Wildcard,
    with_joined_ranges,
)
from storage.zones import MOMENTS, TIMEZONE, days_around, read_offset

_SWITCHES = ("fuzzymatching", "emptyvaluematching", "multiplevaluematching")
_RESERVED = frozenset({"accept", "charset", "includefield", "limit", "offset", *_SWITCHES})
_HEX = re.compile(r"[0-9A-Fa-f]{8}")
_UID = re.compile(r"[0-9.]{1,64}")
_CONTROL = re.compile(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]")
_MAX_NUMBER = 2**31 - 1
_MAX_VALUES = 10_000
_MAX_DEPTH = 8
_EMPTY = '""'
_CREATOR = re.compile(r"[0-9A-Fa-f]{3}[13579BDFbdf]00[1-9A-Fa-f][0-9A-Fa-f]")
_NOT_IN_HEADERS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "UN"})

# PS3.4 C.2.2.2.4, C.2.2.2.5
_WILDCARD_VRS = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
_TEXT_VRS = frozenset({"LT", "ST", "UR", "UT"})  # a backslash is a character of the value
_COMMA_VRS = frozenset({"UI", "CS"})  # neither may contain a comma; PS3.18 8.3.4.1 separates UIDs by it
_RANGE_FORMS = {
    "DA": re.compile(r"([0-9]{8})?-([0-9]{8})?"),
    "TM": re.compile(r"([0-9][0-9:]*(?:\.[0-9]{1,6})?)?-([0-9][0-9:]*(?:\.[0-9]{1,6})?)?"),
}
_SINGLE_FORMS = {
    "DA": re.compile(r"[0-9]{8}"),
    "TM": re.compile(r"[0-9][0-9:]*(?:\.[0-9]{1,6})?"),
}


class Attribute(NamedTuple):
    """An attribute as a query names it."""

    tag: str
    """As in `storage.search.Match`."""
    vr: str


def attribute(name: str) -> Attribute:
    """The attribute that `name` stands for: keywords or tags, joined by dots into sequences (PS3.18 8.3.4.1).

    Raises:
        BadRequest: there is none; the message names it.
    """
    steps = name.split(".")
    if len(steps) > _MAX_DEPTH:
        raise BadRequest(f"the attribute path {name[:100]!r} is too deep")
    tags = [_tag(step, name) for step in steps]
    for tag in tags[:-1]:
        if _vr(tag) not in {"SQ", "UN"}:
            raise BadRequest(f"unknown attribute {name!r}: {keyword_for_tag(tag) or tag} is not a sequence")
    return Attribute(".".join(f"{tag:08X}" for tag in tags), _vr(tags[-1]))


def _tag(step: str, name: str) -> int:
    if _HEX.fullmatch(step):
        tag = int(step, 16)
        if tag >> 16 & 1 or keyword_for_tag(tag):
            return tag
    elif step and (known := tag_for_keyword(step)) is not None:
        return int(known)
    raise BadRequest(f"unknown attribute {name[:100]!r}")


def _vr(tag: int) -> str:
    # Of a private attribute the dictionary knows nothing.
    return "UN" if tag >> 16 & 1 else str(dictionary_VR(tag))


def read_query(
    parameters: Iterable[tuple[str, str]], level: Level, study: str | None = None, series: str | None = None
) -> Query:
    """The search that the query parameters of a QIDO-RS request ask for.

    Args:
        parameters: names and values, decoded, in order; a name may come repeatedly.
        level: what the resource lists.
        study: Study Instance UID of the resource, where it has one.
        series: Series Instance UID of the resource, where it has one.

    Raises:
        BadRequest: a parameter is unknown or malformed; the message names it.
        InvalidInstance: a UID of the resource is none.
    """
    grouped: dict[str, list[str]] = {}
    for name, value in parameters:
        if _CONTROL.search(value):
            raise BadRequest(f"{name[:100]}: a value must not contain control characters")
        grouped.setdefault(name.lower() if name.lower() in _RESERVED else name, []).append(value)
    options = {name: grouped.pop(name) for name in list(grouped) if name in _RESERVED}
    switches = {name: _truth(name, options.get(name, ["false"])) for name in _SWITCHES}
    creators = {name: grouped.pop(name)[-1].strip() for name in list(grouped) if _CREATOR.fullmatch(name)}
    keys = _beyond_the_index(grouped)
    zone = _zone(grouped)
    if zone is not None:
        keys |= _moments_in_zone(grouped, level)
    matches, universal = _matches(grouped)
    include = _include(options.get("includefield", []), universal)
    return Query(
        level=level,
        matches=tuple(matches),
        study=None if study is None else checked_uid(study, "StudyInstanceUID"),
        series=None if series is None else checked_uid(series, "SeriesInstanceUID"),
        include=include,
        keys=keys,
        zone=zone,
        creators=_creators_of(include, creators),
        fuzzy=switches["fuzzymatching"],
        limit=_number("limit", options["limit"]) if "limit" in options else None,
        offset=_number("offset", options.get("offset", ["0"])),
    )


def _creators_of(include: Sequence[str], creators: dict[str, str]) -> dict[str, str]:
    """By private attribute its creator, which the element that reserves its block says (PS3.18 8.3.4.3)."""
    blocks = {name.upper(): creator for name, creator in creators.items() if creator}
    reserved = {tag: f"{tag[:4]}00{tag[4:6]}" for tag in include}
    return {tag: blocks[element] for tag, element in reserved.items() if element in blocks}


def _beyond_the_index(grouped: dict[str, list[str]]) -> dict[str, Any]:
    """The keys in sequences that no index has, taken out of `grouped`."""
    keys: dict[str, Any] = {}
    for name in [name for name in grouped if "." in name]:
        asked = attribute(name)
        if asked.tag not in BY_TAG and any(value.strip("*") for value in grouped[name]):
            values = (_separated(asked.vr, value) for value in grouped.pop(name))
            _add_key(keys, name, asked, [part for parts in values for part in parts])
    return keys


def _add_key(keys: dict[str, Any], name: str, asked: Attribute, values: Sequence[str]) -> None:
    if asked.vr[:2] in _NOT_IN_HEADERS:  # the dictionary knows "OB or OW"
        raise BadRequest(f"{name} is not an attribute to search by")
    *path, tag = asked.tag.split(".")
    for step in path:
        keys = keys.setdefault(step, {"vr": "SQ", "Value": [{}]})["Value"][0]
    keys[tag] = {"vr": asked.vr, "Value": list(values)}
    try:
        Keys(keys)
    except InvalidQuery as error:
        raise BadRequest(f"{name}: {error}") from error


def _zone(grouped: dict[str, list[str]]) -> int | None:
    """The time zone in which dates and times are meant (PS3.18 8.3.4.1.1); its offset is answered, too."""
    for name in [name for name in grouped if attribute(name).tag == TIMEZONE]:
        # In a query a "+" that is not encoded stands for a space.
        value = re.sub(r"^ (?=\d)", "+", grouped[name][-1])
        if value.strip("*"):
            grouped[name] = [""]
            zone = read_offset(value)
            if zone is None:
                raise BadRequest(f"{name}: {value[:100]!r} is no offset from UTC, such as +0100")
            return zone
    return None


def _moments_in_zone(grouped: dict[str, list[str]], level: Level) -> dict[str, Any]:
    """Keys for dates and times, which are moved when headers are read; `grouped` keeps the days around."""
    keys: dict[str, Any] = {}
    for name in list(grouped):
        tag, vr = attribute(name)
        of_level = tag in BY_TAG and LEVELS.index(BY_TAG[tag].level) <= LEVELS.index(level)
        if tag not in MOMENTS or not of_level or not any(each.strip("*") for each in grouped[name]):
            continue
        asked = _value(name, vr, grouped[name])
        if isinstance(asked, Empty):
            continue
        _add_key(keys, name, Attribute(tag, vr), [p for each in grouped[name] for p in _separated(vr, each)])
        around = days_around(asked) if vr == "DA" else None
        if around is None:
            del grouped[name]
        else:
            grouped[name] = [f"{around.low or ''}-{around.high or ''}"]
    return keys


def _matches(grouped: dict[str, list[str]]) -> tuple[list[Match], list[str]]:
    """What must match, and the tags that a universal match only asks for (PS3.4 C.2.2.2.3)."""
    matches: dict[str, Value] = {}
    universal = []
    for name, values in grouped.items():
        tag, vr = attribute(name)
        if all(value.strip("*") == "" for value in values):
            universal.append(tag)
        elif tag in BY_TAG and BY_TAG[tag].matched:
            matches[tag] = _value(name, vr, values)
        else:
            raise BadRequest(f"{name} is not an attribute to search by")
    # Combined datetime matching is what a search over the web does (PS3.18 8.3.4.1.1).
    return [Match(tag, value) for tag, value in with_joined_ranges(matches).items()], universal


def _include(fields: Sequence[str], universal: Sequence[str]) -> tuple[str, ...]:
    names = [name.strip() for value in fields for name in value.split(",") if name.strip()]
    if "all" in names:
        return ("all",)
    return tuple(dict.fromkeys([*universal, *(attribute(name).tag for name in names)]))


def _value(name: str, vr: str, given: Sequence[str]) -> Value:
    values = [part for value in given for part in _separated(vr, value) if part]
    if not 0 < len(values) <= _MAX_VALUES:
        raise BadRequest(f"{name}: 1 to {_MAX_VALUES} values can be given")
    if values == [_EMPTY]:
        return Empty()
    wild = vr in _WILDCARD_VRS and any(character in value for value in values for character in "*?")
    if len(values) == 1:
        return Wildcard(values[0]) if wild else _single(name, vr, values[0])
    if wild:
        raise BadRequest(f"{name}: wild cards cannot be combined with several values")
    checked = (_single(name, vr, value) for value in values)
    return OneOf(tuple(_exact(name, value) for value in checked))


def _exact(name: str, value: Exact | Range) -> str:
    if isinstance(value, Range):
        raise BadRequest(f"{name}: ranges cannot be combined with several values")
    return value.value


def _separated(vr: str, value: str) -> list[str]:
    separators = r"[\\,]" if vr in _COMMA_VRS else r"\\"
    return [value] if vr in _TEXT_VRS else [part.strip() for part in re.split(separators, value)]


def _single(name: str, vr: str, value: str) -> Exact | Range:
    if value == _EMPTY:
        raise BadRequest(f"{name}: empty value matching (PS3.4 C.2.2.2.7) cannot be combined with values")
    if vr == "UI" and not _UID.fullmatch(value):
        raise BadRequest(f"{name}: {value[:100]!r} is not a UID")
    if vr in _RANGE_FORMS:
        return _moment(name, vr, value)
    return Exact(value)


def _moment(name: str, vr: str, value: str) -> Exact | Range:
    if _SINGLE_FORMS[vr].fullmatch(value):
        return Exact(value.replace(":", ""))
    ends = _RANGE_FORMS[vr].fullmatch(value)
    if ends is None or value == "-":
        raise BadRequest(f"{name}: {value[:100]!r} is neither a value nor a range of VR {vr}")
    low, high = (end and end.replace(":", "") for end in ends.groups())
    return Range(low, high)


def _number(name: str, values: Sequence[str]) -> int:
    text = values[-1]
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= _MAX_NUMBER):  # noqa: PLR2004 - digits of 2**31
        raise BadRequest(f"{name}: {text[:100]!r} is not a number from 0 to {_MAX_NUMBER}")
    return int(text)


def _truth(name: str, values: Sequence[str]) -> bool:
    if values[-1].lower() not in {"true", "false"}:
        raise BadRequest(f"{name}: {values[-1][:100]!r} is neither true nor false")
    return values[-1].lower() == "true"
