"""Query parameters (PS3.18 8.3.4) as an identifier: keys in the DICOM JSON Model, for any attribute."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from dicomweb.problems import BadRequest
from dicomweb.search_parameters import Attribute, attribute
from storage.procedure_steps import Attributes

_SWITCHES = frozenset({"fuzzymatching", "emptyvaluematching", "multiplevaluematching"})
_OPTIONS = frozenset({"accept", "charset", "includefield", "limit", "offset"}) | _SWITCHES
_COMMAS = frozenset({"UI", "CS"})
_TEXTS = frozenset({"LT", "ST", "UR", "UT"})
_MOST_NUMBER = 2**31 - 1


class KeyQuery(NamedTuple):
    """What a search asks for."""

    identifier: Attributes
    """Keys; without a value where an attribute is only to be answered."""
    limit: int | None
    offset: int
    everything: bool
    """All attributes are to be answered."""
    fuzzy: bool


def read_key_query(parameters: Iterable[tuple[str, str]]) -> KeyQuery:
    """The search that query parameters ask for; raises `BadRequest` naming what is wrong."""
    options: dict[str, str] = {}
    identifier: Attributes = {}
    for name, value in parameters:
        if name.lower() in _OPTIONS:
            known = options.get(name.lower())
            options[name.lower()] = f"{known},{value}" if known else value
        else:
            add_key(identifier, name, value)
    fields = [part.strip() for part in options.get("includefield", "").split(",")]
    for name in fields:
        if name not in {"", "all"}:
            add_key(identifier, name, "")
    return KeyQuery(
        identifier,
        _number("limit", options["limit"]) if "limit" in options else None,
        _number("offset", options.get("offset", "0")),
        "all" in fields,
        options.get("fuzzymatching", "").lower() == "true",
    )


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
