"""Query parameters of a worklist search (PS3.18 8.3.4) as an identifier: keys in the DICOM JSON Model."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from dicomweb.problems import BadRequest
from dicomweb.search_parameters import Attribute, attribute
from dicomweb.ups_ports import Attributes

_OPTIONS = frozenset({"accept", "fuzzymatching", "includefield", "limit", "offset"})
_COMMAS = frozenset({"UI", "CS"})
_TEXTS = frozenset({"LT", "ST", "UR", "UT"})
_MOST_NUMBER = 2**31 - 1
_REFERENCED = "00404021"
"""Input Information Sequence: left out of answers unless asked for, because it may name every image."""


class WorklistQuery(NamedTuple):
    """What a search asks for."""

    identifier: Attributes
    limit: int | None
    offset: int
    with_inputs: bool
    """Answers have the Input Information Sequence."""


def read_worklist_query(parameters: Iterable[tuple[str, str]]) -> WorklistQuery:
    """The search that query parameters ask for; raises `BadRequest` naming what is wrong."""
    options: dict[str, str] = {}
    identifier: Attributes = {}
    for name, value in parameters:
        if name.lower() in _OPTIONS:
            known = options.get(name.lower())
            options[name.lower()] = f"{known},{value}" if known else value
        else:
            add_key(identifier, name, value)
    for name in filter(None, (part.strip() for part in options.get("includefield", "").split(","))):
        if name != "all":
            add_key(identifier, name, "")
    with_inputs = _REFERENCED in identifier or "all" in options.get("includefield", "").split(",")
    if with_inputs:
        identifier.setdefault(_REFERENCED, {"vr": "SQ"})
    return WorklistQuery(
        identifier,
        _number("limit", options["limit"]) if "limit" in options else None,
        _number("offset", options.get("offset", "0")),
        with_inputs,
    )


def read_filter(value: str) -> Attributes:
    """The keys of a filtered subscription: `attribute=value` pairs, separated by commas (11.10.1.2)."""
    keys: Attributes = {}
    for pair in filter(None, value.split(",")):
        name, equals, wanted = pair.partition("=")
        if not equals:
            raise BadRequest(f"filter: {pair[:100]!r} is no attribute=value")
        add_key(keys, name.strip(), wanted.strip())
    return keys


def add_key(identifier: Attributes, name: str, value: str) -> None:
    """Add a key by its name, which may be a path into sequences."""
    asked = attribute(name)
    *path, tag = asked.tag.split(".")
    inner = identifier
    for step in path:
        outer = inner.setdefault(step, {"vr": "SQ"})
        inner = outer.setdefault("Value", [{}])[0]
    key = inner.setdefault(tag, {"vr": asked.vr})
    values = _values(asked, value)
    if values and asked.vr != "SQ":
        key["Value"] = [*key.get("Value", []), *values]
    elif values:
        raise BadRequest(f"{name} is a sequence: name the attribute in it")


def _values(asked: Attribute, value: str) -> Sequence[Any]:
    if asked.vr in _TEXTS:
        return [value] if value else []
    parts = re.split(r"[\\,]" if asked.vr in _COMMAS else r"\\", value)
    return [part.strip() for part in parts if part.strip()]


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:12]) <= _MOST_NUMBER):
        raise BadRequest(f"{name}: {text[:100]!r} is not a number from 0 to {_MOST_NUMBER}")
    return int(text)
