"""What rejection notes hide. The rows come and go with the notes: to delete a note is to undo it."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, true

from storage.instances import StoredInstance
from storage.rejection import KEY_OBJECT_SELECTION, Rejection, references_of, title_of
from storage.sql.patterns import Condition
from storage.sql.prepared import run
from storage.sql.rows import Entry
from storage.sql.stored import IS_SHOWN
from storage.sql.tables import instances, rejections, series, studies

_AT_ONCE = 500

_SHOWS_SERIES: Condition = (
    series.c.series_uid.not_in(select(rejections.c.series_uid))
    | select(instances.c.id).where(instances.c.series_id == series.c.id, IS_SHOWN).correlate(series).exists()
)
_SHOWS_STUDY: Condition = (
    studies.c.study_uid.not_in(select(rejections.c.study_uid))
    | select(instances.c.id)
    .select_from(instances.join(series))
    .where(series.c.study_id == studies.c.id, IS_SHOWN)
    .correlate(studies)
    .exists()
)
SHOWN: dict[str, Condition] = {"study": _SHOWS_STUDY, "series": _SHOWS_SERIES, "instance": IS_SHOWN}
"""By level: what has an instance that is shown."""


def note(connection: Connection, entries: Sequence[Entry]) -> None:
    """Bring into force the notes among `entries`, which have just become rows."""
    for entry in entries:
        attributes = entry.header.attributes
        if entry.header.sop_class != KEY_OBJECT_SELECTION or (code := title_of(attributes)) is None:
            continue
        key = entry.key
        forget(connection, [key.sop])
        # The note goes out of sight with what it rejects.
        hidden = {(key.study, key.series, key.sop), *references_of(attributes)}
        rows = {
            sop: {"note_uid": key.sop, "sop_uid": sop, "study_uid": study, "series_uid": of, "code": code}
            for study, of, sop in sorted(hidden)
        }
        connection.execute(insert(rejections), list(rows.values()))


def forget(connection: Connection, notes: Sequence[str]) -> None:
    """Some of these SOP Instance UIDs may be notes; they are no longer in force."""
    for at in range(0, len(notes), _AT_ONCE):
        here = rejections.c.note_uid.in_(notes[at : at + _AT_ONCE])
        connection.execute(delete(rejections).where(here))


def are_there(connection: Connection) -> bool:
    """Some note is in force; where none is, nobody pays for it."""
    return bool(run(connection, "SELECT 1 FROM rejections LIMIT 1", answers=True))


def hidden(connection: Connection, sops: Sequence[str]) -> set[str]:
    """Those of these SOP Instance UIDs that are rejected."""
    found: set[str] = set()
    for at in range(0, len(sops), _AT_ONCE):
        here = rejections.c.sop_uid.in_(sops[at : at + _AT_ONCE])
        found |= set(connection.scalars(select(rejections.c.sop_uid).where(here)))
    return found


def hidden_by_series(connection: Connection, ids: Sequence[int]) -> dict[int, dict[int, int]]:
    """How many stored instances are rejected, by study and series; `ids` are of studies."""
    found: dict[int, dict[int, int]] = defaultdict(dict)
    rejected = instances.c.sop_uid.in_(select(rejections.c.sop_uid))
    counted: Any = select(series.c.study_id, series.c.id, func.count()).select_from(series.join(instances))
    for at in range(0, len(ids), _AT_ONCE):
        here = series.c.study_id.in_(ids[at : at + _AT_ONCE])
        grouped = counted.where(here, rejected).group_by(series.c.study_id, series.c.id)
        for study_id, series_id, count in connection.execute(grouped):
            found[study_id][series_id] = count
    return found


def listed(connection: Connection, limit: int, note: str | None) -> list[Rejection]:
    """The notes in force; with `note`, a SOP Instance UID, that one if it is."""
    row = rejections.c
    of_note = select(instances.c.id).where(instances.c.sop_uid == row.note_uid).exists()
    counted = select(row.note_uid, func.min(row.code).label("code"), (func.count() - 1).label("rejected"))
    named = true() if note is None else row.note_uid == note
    query = counted.where(of_note, named).group_by(row.note_uid).order_by(row.note_uid).limit(limit)
    found = connection.execute(query).all()
    study = dict(_studies(connection, [each.note_uid for each in found]))
    return [Rejection(each.note_uid, study[each.note_uid], each.code, each.rejected) for each in found]


def _studies(connection: Connection, notes: Sequence[str]) -> list[tuple[str, str]]:
    row = rejections.c
    mine = select(row.note_uid, row.study_uid).where(row.sop_uid == row.note_uid, row.note_uid.in_(notes))
    return [(each.note_uid, each.study_uid) for each in connection.execute(mine)]


def without(connection: Connection, found: list[StoredInstance]) -> list[StoredInstance]:
    """Those that are not rejected."""
    gone = hidden(connection, [each.key.sop for each in found]) if are_there(connection) else set()
    return [each for each in found if each.key.sop not in gone]
