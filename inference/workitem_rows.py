"""A work item as a row of its table, and back."""

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, select

from inference.inputs import Inputs, SeriesInput
from inference.tables import work_items
from inference.workitems import (
    ModelReference,
    NewWorkItem,
    Outcome,
    Performer,
    Priority,
    State,
    UnknownWorkItem,
    WorkItem,
)

COLUMNS = [column for column in work_items.c if column.name not in {"inputs", "patient_id"}]
"""What a `WorkItem` is made of."""
_PATIENT_ID = "00100020"
_HEAD = "> "
"""How the line begins that names an input; JSON follows. UIDs do not begin so."""


def fetch(connection: Connection, uid: str, *, lock: bool = False) -> WorkItem:
    """The work item.

    Args:
        connection: a transaction.
        uid: of the work item.
        lock: nobody else changes it until the transaction ends.

    Raises:
        UnknownWorkItem: there is none of this UID.
    """
    query = select(*COLUMNS).where(work_items.c.uid == uid)
    query = query.with_for_update() if lock else query
    found = connection.execute(query).mappings().one_or_none()
    if found is None:
        raise UnknownWorkItem(uid)
    return item_of(found)


def fetch_inputs(connection: Connection, uid: str) -> Inputs:
    """The instances the work item is about; raises `UnknownWorkItem`."""
    row = work_items.c
    query = select(row.study_uid, row.series_uid, row.inputs, row.fingerprint, row.subject_uid)
    found = connection.execute(query.where(row.uid == uid)).one_or_none()
    if found is None:
        raise UnknownWorkItem(uid)
    text = zlib.decompress(found.inputs).decode()
    parts = tuple(_parts(text, found.study_uid, found.series_uid))
    return Inputs(parts, found.fingerprint, found.subject_uid)


def packed(inputs: Inputs) -> bytes:
    """The instances of a work item: a line each, with SOP Instance and SOP Class UID.

    Before those of each input but the first a line says which input and series it is.
    """
    return zlib.compress("\n".join(line for part in inputs.parts for line in _lines(part)).encode())


def _lines(part: SeriesInput) -> Iterator[str]:
    if part.name:
        yield _HEAD + json.dumps([part.study, part.series, part.name, part.note])
    if part.sop_classes:
        yield from map(" ".join, zip(part.sops, part.sop_classes, strict=True))
    else:
        yield from part.sops


def _parts(text: str, study: str, series: str) -> Iterator[SeriesInput]:
    first, *further = f"\n{text}".split(f"\n{_HEAD}")
    yield _part(first.split("\n")[1:], study, series)
    for block in further:
        head, *lines = block.split("\n")
        yield _part(lines, *json.loads(head))


def _part(lines: Sequence[str], study: str, series: str, name: str = "", note: str = "") -> SeriesInput:
    pairs = [line.split(" ") for line in lines]
    sops = tuple(pair[0] for pair in pairs)
    classes = tuple(pair[1] for pair in pairs if len(pair) > 1)
    return SeriesInput(study, series, sops, classes, name, note)


def new_row(new: NewWorkItem, now: datetime) -> dict[str, Any]:
    """The row of a work item that nobody has begun."""
    return {
        "uid": new.uid,
        "model": new.model.name,
        "model_version": new.model.version,
        "model_digest": new.model.digest,
        "card_digest": new.model.card_digest,
        "study_uid": new.inputs.study,
        "series_uid": new.inputs.series,
        "subject_uid": new.inputs.subject,
        "fingerprint": new.inputs.fingerprint,
        "instances": len(new.inputs.sops),
        "inputs": packed(new.inputs),
        "priority": int(new.priority),
        "state": State.SCHEDULED,
        "created_at": now,
        "due_at": new.due_at,
        "received_at": new.received_at,
        "performer": new.performer.value,
        "resource": new.resource,
        "label": f"{new.model.name} {new.model.version}{', in shadow' if new.shadow else ''}",
        "shadow": new.shadow,
        "patient_id": patient_id(new.subject),
        "attributes": dict(new.subject),
    }


def ended(state: State, outcome: Outcome, reason: str, now: datetime) -> dict[str, Any]:
    """What the row of a work item that has ended says."""
    return {
        "state": state,
        "outcome": outcome,
        "reason": reason,
        "finished_at": now,
        # The transaction stays: who asks for the same again is told so (PS3.4 table CC.1.1-2).
        "lease_until": None,
    }


def cancelled(outcome: Outcome, reason: str, now: datetime) -> dict[str, Any]:
    """What the row of a work item that was canceled says."""
    return ended(State.CANCELED, outcome, reason, now)


def patient_id(attributes: Mapping[str, Any]) -> str:
    """Patient ID as it is searched for."""
    values = attributes.get(_PATIENT_ID, {}).get("Value") or [""]
    return str(values[0] or "").strip()


def item_of(row: RowMapping) -> WorkItem:
    """The work item of a row with `COLUMNS`."""
    same = {column.name: row[column.name] for column in COLUMNS if column.name in WorkItem.__slots__}
    model = ModelReference(row["model"], row["model_version"], row["model_digest"], row["card_digest"])
    other = {
        "state": State(row["state"]),
        "priority": Priority(row["priority"]),
        "performer": Performer(row["performer"]),
        "model": model,
        "study": row["study_uid"],
        "series": row["series_uid"],
        "transaction": row["transaction_uid"],
        "outcome": Outcome(row["outcome"]) if row["outcome"] else None,
        "results": tuple(row["results"]),
        "predecessor": row["predecessor_uid"],
    }
    return WorkItem(**same | other)
