"""What answers have beyond the columns of the index: from headers of instances."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, func, select

from storage.private import stored_tags
from storage.search import SERIES_TAGS, Level, Query, is_study_tag
from storage.sql.found import Found
from storage.sql.packing import unpack
from storage.sql.stored import chunks
from storage.sql.tables import headers, instances, series

Element = dict[str, Any]

ALL = "all"
"""In `Query.include`: all that is known."""


def _distinct(rows: Found, name: str) -> list[int]:
    return sorted(set(rows.column(name)))


def _further(query: Query, known: set[str]) -> set[str]:
    literally = (tag for tag in query.include if tag != ALL and tag not in query.creators)
    return {tag.split(".")[0] for tag in literally} - known


def wants_beyond(query: Query, known: set[str]) -> bool:
    """Something is asked for that is not among the `known` tags."""
    return bool(_further(query, known) or query.creators) or ALL in query.include


def from_headers(
    connection: Connection, query: Query, rows: Found, known: set[str]
) -> list[dict[str, Element]]:
    """What was asked for and is not `known`, of each row: from the header of an instance of it."""
    tags = _further(query, known)
    everything = ALL in query.include
    return [
        _chosen(header, query.level, tags | stored_tags(header, query.creators), everything=everything)
        for header in headers_of(connection, query.level, rows)
    ]


def headers_of(connection: Connection, level: Level, rows: Found) -> Iterator[dict[str, Element]]:
    """The header of each instance, or of the first of each study or series, in the DICOM JSON Model."""
    ids = _instances_of(connection, level, rows)
    packed = _packed_headers(connection, ids)
    return (json.loads(unpack(packed[i])) if i in packed else {} for i in ids)


def _instances_of(connection: Connection, level: Level, rows: Found) -> list[int]:
    if level == "instance":
        return list(rows.column("instances_id"))
    if level == "series":
        first = _first_instances(connection, _distinct(rows, "series_id"))
        return [first.get(series_id, 0) for series_id in rows.column("series_id")]
    query = select(series.c.study_id, func.min(series.c.id)).group_by(series.c.study_id)
    in_study: dict[int, int] = {}
    for some in chunks(_distinct(rows, "studies_id")):
        in_study |= dict(_pairs(connection, query.where(series.c.study_id.in_(some))))
    first = _first_instances(connection, sorted(in_study.values()))
    return [first.get(in_study.get(study_id, 0), 0) for study_id in rows.column("studies_id")]


def _first_instances(connection: Connection, ids: Sequence[int]) -> dict[int, int]:
    of_series = select(instances.c.id).where(instances.c.series_id == series.c.id)
    first = of_series.order_by(instances.c.number, instances.c.id).limit(1).scalar_subquery()
    found: dict[int, int] = {}
    for some in chunks(ids):
        found |= dict(_pairs(connection, select(series.c.id, first).where(series.c.id.in_(some))))
    return found


def _pairs(connection: Connection, query: Select[Any]) -> Iterator[tuple[Any, Any]]:
    return ((row[0], row[1]) for row in connection.execute(query))


def _packed_headers(connection: Connection, ids: Sequence[int]) -> dict[int, bytes]:
    """Those that are still there: in PostgreSQL a study may be deleted between two statements."""
    found: dict[int, bytes] = {}
    for some in chunks(ids):
        query = select(headers.c.instance_id, headers.c.json).where(headers.c.instance_id.in_(some))
        found |= dict(_pairs(connection, query))
    return found


def _chosen(
    attributes: Mapping[str, Element], level: Level, tags: set[str], *, everything: bool
) -> dict[str, Element]:
    return {
        tag: _without_bulk(value)
        for tag, value in attributes.items()
        if (tag in tags or (everything and _belongs(tag, level))) and "BulkDataURI" not in value
    }


def _belongs(tag: str, level: Level) -> bool:
    return level == "instance" or is_study_tag(tag) or (level == "series" and tag in SERIES_TAGS)


def _without_bulk(value: Element) -> Element:
    """An element without the big values in its items: they have no place in an answer."""
    if value.get("vr") != "SQ":
        return value
    items = [
        {tag: _without_bulk(inner) for tag, inner in item.items() if "BulkDataURI" not in inner}
        for item in value.get("Value", [])
    ]
    return value | {"Value": items} if items else value
