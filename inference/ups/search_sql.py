"""Searches over all procedure steps: the database narrows, the data set decides."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, select

from inference.tables import work_items
from inference.ups import data_set as tags
from inference.ups.data_set import Access, data_set
from inference.ups.elements import Attributes, items
from inference.workitem_rows import COLUMNS, fetch_inputs, item_of
from inference.workitems import Priority, WorkItem
from storage.key_matching import Keys, exact_values

MAX_LIMIT = 1_000
"""Answers to one search."""
_MOST_READ = 20_000
"""Steps that one search looks at."""
_BATCH = 500
_REFERENCED = "00081199"


@dataclass(frozen=True, slots=True)
class Found:
    """Procedure steps in the order of their priority and start."""

    answers: tuple[Attributes, ...]
    more: bool
    """There were further answers, or steps that were not looked at."""


def find_steps(
    connection: Connection, access: Access, identifier: Attributes, *, limit: int | None, offset: int
) -> Found:
    """The steps that match, each with its data set; raises `InvalidQuery` when a key makes no sense.

    The instances of the Input Information Sequence are in it where the identifier asks for them.
    """
    keys = Keys(identifier)
    most = min(limit if limit is not None else MAX_LIMIT, MAX_LIMIT)
    asked = items(identifier, tags.INPUT)
    whole = tags.INPUT in identifier and (not asked or not asked[0] or _REFERENCED in asked[0])
    answers: list[Attributes] = []
    passed = 0
    for read, item in enumerate(_items(connection, _narrowed(identifier))):
        if read >= _MOST_READ:
            return Found(tuple(answers), more=True)
        inputs = fetch_inputs(connection, item.uid) if whole and item.model.name else None
        found = data_set(item, access, inputs)
        if not keys.match(found):
            continue
        passed += 1
        if passed <= offset:
            continue
        if len(answers) == most:
            return Found(tuple(answers), more=True)
        answers.append(found)
    return Found(tuple(answers), more=False)


def _items(connection: Connection, query: Select[Any]) -> Iterator[WorkItem]:
    start = 0
    while True:
        rows = connection.execute(query.limit(_BATCH).offset(start)).mappings().all()
        yield from (item_of(row) for row in rows)
        if len(rows) < _BATCH:
            return
        start += _BATCH


def _narrowed(identifier: Attributes) -> Select[Any]:
    row = work_items.c
    query: Select[Any] = select(*COLUMNS).order_by(row.priority, row.due_at, row.uid)
    priorities = exact_values(identifier, tags.PRIORITY)
    if priorities is not None:
        known = [int(Priority[each]) for each in priorities if each in Priority.__members__]
        query = query.where(row.priority.in_(known))
    for tag, column in (
        (tags.SOP_INSTANCE, row.uid),
        (tags.STATE, row.state),
        (tags.PATIENT_ID, row.patient_id),
        (tags.STUDY, row.study_uid),
    ):
        values = exact_values(identifier, tag)
        if values is not None:
            query = query.where(column.in_(values))
    return query
