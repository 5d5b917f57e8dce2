"""Keys matched against a data set in memory (PS3.4 C.2.2.2); both in the DICOM JSON Model (PS3.18 F.2).

The archive matches in its database. This is for what is looked for among few data sets with any of their
attributes: worklists, and procedure steps.
"""

import re
from collections.abc import Mapping, Sequence
from fnmatch import translate
from functools import lru_cache
from typing import Any

from storage.errors import InvalidQuery
from storage.moments import ends_of, first_of, is_date_or_time, moments_of, read_moment
from storage.names import name_groups, words

Attributes = Mapping[str, Any]
Moment = tuple[str, str]
"""Tags of a date and a time that together are one moment."""

# Specific Character Set, Query/Retrieve Level and View, Timezone Offset From UTC say how others are meant.
_NO_KEYS = frozenset({"00080005", "00080052", "00080053", "00080201"})
_WITH_WILDCARDS = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
_EMPTY = '""'
"""Empty value matching (C.2.2.2.7)."""
_MOST_VALUES = 10_000
_LONGEST = 1024
_MOST_WILD = 256
_MAX_DEPTH = 8


class Keys:
    """What a data set must have."""

    def __init__(
        self, identifier: Attributes, *, moments: Sequence[Moment] = (), fuzzy: bool = False
    ) -> None:
        """Check the keys.

        Args:
            identifier: of the request.
            moments: dates and times of one sequence item whose ranges are one range (PS3.4 C.2.2.2.5).
            fuzzy: person names match by the beginnings of their words, in any order, too.

        Raises:
            InvalidQuery: a key makes no sense; the message names it.
        """
        self._keys = {tag: key for tag, key in identifier.items() if tag not in _NO_KEYS}
        self._moments = tuple(moments)
        self._fuzzy = fuzzy
        _check(self._keys, _MAX_DEPTH)

    def match(self, attributes: Attributes) -> bool:
        """Every key matches; one without a value matches everything (C.2.2.2.3)."""
        return self._all(self._keys, attributes)

    def _all(self, keys: Attributes, attributes: Attributes) -> bool:
        combined = [pair for pair in self._moments if all(_is_range(keys.get(tag)) for tag in pair)]
        apart = {tag for pair in combined for tag in pair}
        return all(_is_within(keys, attributes, pair) for pair in combined) and all(
            self._one(key, attributes.get(tag) or {}) for tag, key in keys.items() if tag not in apart
        )

    def _one(self, key: Attributes, found: Attributes) -> bool:
        if is_universal(key):
            return True
        if key["vr"] == "SQ":
            wanted = key["Value"][0]
            return any(self._all(wanted, item or {}) for item in found.get("Value", ()))
        asked, given = texts(key), texts(found)
        if asked == [_EMPTY]:
            return not given
        return any(self._value(key["vr"], one, value) for one in asked for value in given)

    def _value(self, vr: str, asked: str, value: str) -> bool:
        if vr == "PN":
            return _is_name(asked, value) or (self._fuzzy and _has_words(asked, value))
        if vr in {"DA", "TM"}:
            low, high = ends_of(vr, asked)
            return low <= first_of(vr, value) <= high
        if vr == "DT":
            return _is_then(asked, value)
        if vr in _WITH_WILDCARDS and set(asked) & set("*?"):
            return _pattern(asked).match(value) is not None
        return asked == value


def texts(element: Attributes) -> list[str]:
    """The values of an element that are not empty, as they are written in a data set."""
    return [text for value in element.get("Value", ()) if (text := _text(value).strip())]


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        groups = (str(value.get(name, "")) for name in ("Alphabetic", "Ideographic", "Phonetic"))
        return "=".join(groups).rstrip("=")
    return "" if value is None else str(value)


def is_universal(key: Attributes) -> bool:
    """The key only asks for the attribute, with whatever value."""
    if key["vr"] == "SQ":
        return all(is_universal(inner) for item in key.get("Value", ()) for inner in (item or {}).values())
    return not any(text.strip("*") for text in texts(key))


def exact_values(identifier: Attributes, *path: str) -> list[str] | None:
    """The values that an attribute must have one of, to narrow a search by; None for other keys."""
    asked = texts(_key(identifier, path))
    if not asked or asked == [_EMPTY] or any(set(each) & set("*?") for each in asked):
        return None
    return asked


def date_range(identifier: Attributes, *path: str) -> tuple[str, str]:
    """The first and the last date that match, as far as the key says."""
    asked = texts(_key(identifier, path))
    ends = [] if _EMPTY in asked else [ends_of("DA", each) for each in asked if each.strip("*")]
    return min((low for low, _ in ends), default=""), max((high for _, high in ends), default="9" * 8)


def _key(identifier: Attributes, path: Sequence[str]) -> Attributes:
    *outer, tag = path
    for each in outer:
        items = (identifier.get(each) or {}).get("Value") or [None]
        identifier = items[0] or {}
    return identifier.get(tag) or {}


def _check(keys: Attributes, depth: int) -> None:
    for tag, key in keys.items():
        values = key.get("Value", ())
        if len(values) > _MOST_VALUES:
            raise InvalidQuery(f"{tag}: more than {_MOST_VALUES} values")
        if key["vr"] == "SQ":
            if len(values) > 1 or not depth:
                raise InvalidQuery(f"{tag}: a sequence key has one item (PS3.4 C.2.2.2.6)")
            _check((values or [None])[0] or {}, depth - 1)
        for text in texts(key) if key["vr"] != "SQ" else ():
            _check_text(tag, key["vr"], text)


def _check_text(tag: str, vr: str, text: str) -> None:
    if len(text) > _LONGEST or (len(text) > _MOST_WILD and set(text) & set("*?")):
        raise InvalidQuery(f"{tag}: a key of {len(text)} characters")
    if text != _EMPTY and text.strip("*") and not _is_readable(vr, text):
        raise InvalidQuery(f"{tag}: {text[:64]!r} is neither a value nor a range of VR {vr}")


def _is_readable(vr: str, text: str) -> bool:
    if vr != "DT":
        return vr not in {"DA", "TM"} or is_date_or_time(vr, text)
    try:
        moments_of(text)
    except (ValueError, OverflowError):
        return False
    return True


def _is_name(asked: str, value: str) -> bool:
    """Each group asked for is a component group of the name (PS3.5 6.2.1.1), whatever the case."""
    groups = name_groups(value)
    return all(
        any(_pattern(wanted).match(group) for group in groups if group)
        for wanted in name_groups(asked)
        if wanted
    )


def _has_words(asked: str, value: str) -> bool:
    there = words(value)
    return all(any(_pattern(f"{word}*").match(each) for each in there) for word in words(asked))


@lru_cache(maxsize=1024)
def _pattern(asked: str) -> re.Pattern[str]:
    # In atomic groups, so that many stars do not mean many ways to the same end.
    return re.compile(translate(asked.replace("[", "[[]")))


def _is_then(asked: str, value: str) -> bool:
    """The moment is within those asked for; what a data set says need not make sense."""
    try:
        at = read_moment(value)[0]
    except (ValueError, OverflowError):
        return False
    low, high = moments_of(asked)
    return (low is None or low <= at) and (high is None or at <= high)


def _is_range(key: Attributes | None) -> bool:
    asked = texts(key) if key else []
    return len(asked) == 1 and "-" in asked[0]


def _is_within(keys: Attributes, attributes: Attributes, pair: Moment) -> bool:
    """From the first day at the first time until the last day at the last time."""
    (day_low, day_high), (low, high) = (
        ends_of(vr, texts(keys[tag])[0]) for vr, tag in zip(("DA", "TM"), pair, strict=True)
    )
    days, times = (texts(attributes.get(tag) or {}) for tag in pair)
    if not days:
        return False
    at = first_of("DA", days[0]) + (first_of("TM", times[0]) if times else "0" * 12)
    return (not day_low or day_low + low.ljust(12, "0") <= at) and at <= day_high[:8] + high
