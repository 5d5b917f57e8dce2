"""Matching of keys against a data set (PS3.4 C.2.2.2): what searches and filtered subscriptions ask for."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from fnmatch import translate
from functools import lru_cache
from typing import Any

from inference.ups.elements import Attributes, items, read_moment, text, texts
from storage.errors import InvalidQuery
from storage.names import name_groups

_NO_KEYS = frozenset({"00080005", "00080201"})
_WITH_WILDCARDS = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
_WITH_RANGES = frozenset({"DA", "DT", "TM"})
_DT = r"\d{4,14}(?:\.\d{1,6})?(?:[+-]\d{4})?"
_DT_SINGLE = re.compile(_DT)
_DT_RANGE = re.compile(rf"({_DT})?-({_DT})?")
_EMPTY = '""'
_MOST_VALUES = 10_000
_MOST_WILD = 256


def keys_of(identifier: Attributes) -> Attributes:
    """The attributes of `identifier` that are keys.

    Raises:
        InvalidQuery: a key makes no sense; the message names it.
    """
    keys = {tag: key for tag, key in identifier.items() if tag not in _NO_KEYS}
    for tag, key in keys.items():
        if len(key.get("Value", ())) > _MOST_VALUES:
            raise InvalidQuery(f"{tag}: more than {_MOST_VALUES} values")
        if key["vr"] == "SQ":
            for item in items(keys, tag):
                keys_of(item)
        else:
            for value in texts(keys, tag):
                _checked(tag, key["vr"], value)
    return keys


def _checked(tag: str, vr: str, value: str) -> None:
    if vr == "DT" and value != _EMPTY and value.strip("*"):
        try:
            _moment_matches(value, "20000101")
        except (ValueError, OverflowError) as error:
            raise InvalidQuery(f"{tag}: {value[:64]!r} is neither a date and time nor a range") from error
    if len(value) > _MOST_WILD and vr in _WITH_WILDCARDS and set(value) & set("*?"):
        raise InvalidQuery(f"{tag}: a pattern of more than {_MOST_WILD} characters")


def matches(keys: Mapping[str, Any], attributes: Mapping[str, Any]) -> bool:
    """Every key matches; those without a value match everything (universal matching)."""
    return all(_matches(key, attributes.get(tag, {}), tag) for tag, key in keys.items())


def is_universal(key: Mapping[str, Any]) -> bool:
    """The key only asks for the attribute, with whatever value."""
    if key["vr"] == "SQ":
        wanted = (item or {} for item in key.get("Value", ()))
        return all(is_universal(inner) for item in wanted for inner in item.values())
    return not any(text(value).strip().strip("*") for value in key.get("Value", ()))


def _matches(key: Mapping[str, Any], found: Mapping[str, Any], tag: str) -> bool:
    if is_universal(key):
        return True
    if key["vr"] == "SQ":
        wanted = key["Value"][0]
        return any(matches(wanted, item) for item in items({tag: dict(found)}, tag))
    given = [text(value).strip() for value in found.get("Value", ())]
    asked = [value for each in key["Value"] if (value := text(each).strip())]
    if asked == [_EMPTY]:
        return not any(given)
    return any(_value_matches(key["vr"], one, value) for one in asked for value in given if value)


def _value_matches(vr: str, asked: str, value: str) -> bool:
    if vr == "PN":
        return _name_matches(asked, value)
    if vr == "DT":
        return _moment_matches(asked, value)
    if vr in _WITH_RANGES and "-" in asked:
        low, _, high = (part.strip() for part in asked.partition("-"))
        return low <= value and (not high or value[: len(high)] <= high)
    if vr in _WITH_WILDCARDS and set(asked) & set("*?"):
        return _pattern(asked).fullmatch(value) is not None
    return asked == value


def _name_matches(asked: str, value: str) -> bool:
    wanted, groups = name_groups(asked), name_groups(value)
    return all(
        not pattern or _pattern(pattern).fullmatch(group) is not None
        for pattern, group in zip(wanted, groups, strict=True)
    )


@lru_cache(maxsize=1024)
def _pattern(asked: str) -> re.Pattern[str]:
    # In atomic groups, so that many stars do not mean many ways to the same end.
    return re.compile(translate(asked.replace("[", "[[]")))


def _moment_matches(asked: str, value: str) -> bool:
    at = _known_moment(value)
    if at is None:
        return False
    if _DT_SINGLE.fullmatch(asked):
        low, high = read_moment(asked)
        return low <= at <= high
    ends = _DT_RANGE.fullmatch(asked)
    if ends is None or asked == "-":
        raise ValueError(asked)
    return (not ends[1] or read_moment(ends[1])[0] <= at) and (not ends[2] or at <= read_moment(ends[2])[1])


def _known_moment(value: str) -> datetime | None:
    """What a data set says, which need not make sense."""
    try:
        return read_moment(value)[0]
    except (ValueError, OverflowError):
        return None


def exact_values(keys: Mapping[str, Any], tag: str) -> Sequence[str] | None:
    """The values that an attribute must have one of; None when the key says something else."""
    key = keys.get(tag)
    if key is None or is_universal(key):
        return None
    values = texts(dict(keys), tag)
    if values == [_EMPTY] or any(set(value) & set("*?") for value in values):
        return None
    return values
