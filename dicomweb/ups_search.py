"""Query parameters of a worklist search and of a filtered subscription (PS3.18 11.9, 11.10)."""

from collections.abc import Iterable
from typing import NamedTuple

from dicomweb.key_search import add_key, read_key_query
from dicomweb.problems import BadRequest
from storage.procedure_steps import Attributes

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
    query = read_key_query(parameters)
    with_inputs = _REFERENCED in query.identifier or query.everything
    if with_inputs:
        query.identifier.setdefault(_REFERENCED, {"vr": "SQ"})
    return WorklistQuery(query.identifier, query.limit, query.offset, with_inputs)


def read_filter(value: str) -> Attributes:
    """The keys of a filtered subscription: `attribute=value` pairs, separated by commas (11.10.1.2)."""
    keys: Attributes = {}
    for pair in filter(None, value.split(",")):
        name, equals, wanted = pair.partition("=")
        if not equals:
            raise BadRequest(f"filter: {pair[:100]!r} is no attribute=value")
        add_key(keys, name.strip(), wanted.strip())
    return keys
