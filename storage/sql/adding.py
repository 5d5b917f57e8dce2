"""Many instances into the index in one transaction, in an order in which no two writers wait for each other.

Every statement takes a set, in order of UIDs and then of numbers; only what is missing is inserted. Row by
row, four writers of the same studies deadlock in PostgreSQL.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import CompoundSelect, Connection, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from storage.instances import StoredInstance
from storage.sql import events, rejections
from storage.sql.homes import Home, homes_of, insert_missing, series_uids
from storage.sql.prepared import Binds, Prepared, together
from storage.sql.rows import Entry, Values
from storage.sql.stored import by_sop
from storage.sql.tables import headers, instances, removals, series, superseded


@dataclass(frozen=True, slots=True)
class Added:
    """The entry is a row now."""

    warnings: tuple[str, ...] = ()
    replaced: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """This SOP Instance UID is stored already; nothing was changed."""

    instance: StoredInstance


@dataclass(frozen=True, slots=True)
class Burnt:
    """A blob of this name is being or was just removed: the bytes must be stored under another name."""


Result = Added | Known | Burnt


def _taken_names(_dialect: str, rows: list[Binds]) -> CompoundSelect[Any]:
    burnt = select(removals.c.blob).where(removals.c.blob.in_([row["blob"] for row in rows]))
    known = select(instances.c.sop_uid).where(instances.c.sop_uid.in_([row["sop_uid"] for row in rows]))
    return burnt.union_all(known)


_TAKEN = Prepared((removals.c.blob, instances.c.sop_uid), (removals.c.blob,), _taken_names)

_INSTANCE_COLUMNS = [column for column in instances.c if column.name != "id"]


def _new_instances(dialect: str, rows: list[Binds]) -> Any:
    kind = postgresql if dialect == "postgresql" else sqlite
    statement = kind.insert(instances).values(rows)
    return statement.on_conflict_do_nothing(index_elements=["sop_uid"]).returning(*_KEYS)


_KEYS = (instances.c.sop_uid, instances.c.id)
_INSERT_INSTANCES = Prepared(_INSTANCE_COLUMNS, _KEYS, _new_instances)
_INSERT_HEADERS = Prepared(tuple(headers.c), (), lambda _, rows: insert(headers).values(rows))


def _one_more(_dialect: str, rows: list[Binds]) -> Any:
    ((bind, more),) = [(row["id"], row["instances"]) for row in rows]
    return update(series).where(series.c.id == bind).values(instances=series.c.instances + more)


_COUNT = Prepared((series.c.id, series.c.instances), (), _one_more)


def add(connection: Connection, entries: Sequence[Entry]) -> list[Result]:
    """Make `entries` rows, with their events; no two may have the same SOP Instance UID.

    Known ones are first asked for, so that sending a study again costs one query a batch.
    """
    # Names of blobs, and UIDs: the former are never like the latter.
    taken = {name for (name,) in _TAKEN.ask(connection, [(e.instance.blob, e.key.sop) for e in entries])}
    fresh = [e for e in entries if e.key.sop not in taken and e.instance.blob not in taken]
    inserted = _insert(connection, fresh)
    warnings = {entry.key.sop: _warnings(entry, home) for entry, home, _ in inserted}
    # Known, or others were faster between our question and our insert; theirs are committed by now.
    found = [e.key.sop for e in entries if e.key.sop not in warnings and e.instance.blob not in taken]
    known = by_sop(connection, found) if found else {}
    results: list[Result] = []
    for entry in entries:
        if entry.instance.blob in taken:
            results.append(Burnt())
        elif entry.key.sop in warnings:
            results.append(Added(warnings[entry.key.sop]))
        else:
            results.append(_meet(connection, entry, known[entry.key.sop]))
    added = [(e, r) for e, r in zip(entries, results, strict=True) if isinstance(r, Added)]
    with together(connection):
        _INSERT_HEADERS.write(connection, [(key, e.json, e.layout) for e, _, key in inserted])
        events.write(connection, [_event(entry, result) for entry, result in added])
        _count(connection, Counter(home.series_id for _, home, _ in inserted))
    rejections.note(connection, [entry for entry, _ in added])
    return results


def _event(entry: Entry, result: Added) -> Values:
    uids = (entry.key.study, entry.key.series, entry.key.sop)
    if result.replaced:
        return events.values("instance.replaced", uids, entry.delivery, entry.origin)
    return events.values("instance.stored", uids, entry.delivery, entry.origin)


def _insert(connection: Connection, entries: Sequence[Entry]) -> list[tuple[Entry, Home, int]]:
    """Insert what is new; the entries that went in, each with its series and its number."""
    if not entries:
        return []
    entries = sorted(entries, key=lambda entry: entry.key.sop)
    homes = homes_of(connection, entries)
    rows = [
        {"series_id": homes[series_uids(e)].series_id, "sop_uid": e.key.sop} | e.stored | e.details
        for e in entries
    ]
    values = [[row[column.name] for column in _INSTANCE_COLUMNS] for row in rows]
    ids: dict[str, int] = dict(_INSERT_INSTANCES.write(connection, values))
    return [(e, homes[series_uids(e)], ids[e.key.sop]) for e in entries if e.key.sop in ids]


def _count(connection: Connection, more: Counter[int]) -> None:
    # Last, and in the order of the keys: this is the one row that all receivers of a series want.
    for pair in sorted(more.items()):
        _COUNT.write(connection, [pair])


def _warnings(entry: Entry, home: Home) -> tuple[str, ...]:
    theirs, mine = home.patient_id, entry.patient_id
    if theirs == mine:
        return ()
    return (
        f"00100020 PatientID {mine!r} differs from {theirs!r}, which the study has from its first instance",
    )


def _meet(connection: Connection, entry: Entry, known: StoredInstance) -> Result:
    """An entry whose SOP Instance UID is taken."""
    same = known.digest == entry.instance.digest and known.transfer_syntax == entry.instance.transfer_syntax
    elsewhere = known.key != entry.key
    refused = entry.when_known == "refuse" or (same and entry.when_known == "replace")
    if refused or elsewhere:
        return Known(known)
    if known.version == entry.instance.version:
        if same:
            _update(connection, _row(connection, entry.key.sop).id, entry)
        return Known(known)
    if entry.instance.version > known.version:
        _supersede(connection, entry)
        return Added(replaced=True)
    if _keep_older(connection, entry):
        return Added(replaced=True)
    return Known(known)


def _row(connection: Connection, sop: str) -> Any:
    query = select(instances, headers.c.json, headers.c.layout).select_from(instances.join(headers))
    return connection.execute(query.where(instances.c.sop_uid == sop).with_for_update(of=instances)).one()


def _supersede(connection: Connection, entry: Entry) -> None:
    old = _row(connection, entry.key.sop)
    names = (*entry.stored, "json", "layout")
    connection.execute(
        insert(superseded), {"instance_id": old.id} | {name: getattr(old, name) for name in names}
    )
    _update(connection, old.id, entry)


def _update(connection: Connection, key: int, entry: Entry) -> None:
    """Give the row what the header of `entry` says, read perhaps by a newer version of this program."""
    connection.execute(update(instances).where(instances.c.id == key).values(entry.stored | entry.details))
    connection.execute(
        update(headers).where(headers.c.instance_id == key).values(json=entry.json, layout=entry.layout)
    )


def _keep_older(connection: Connection, entry: Entry) -> bool:
    """Put an older version beside the newer one that is served; False when it is there already."""
    row = {"instance_id": _row(connection, entry.key.sop).id, "json": entry.json, "layout": entry.layout}
    done = insert_missing(
        connection, superseded, [row | entry.stored], (superseded.c.id,), ["instance_id", "version"]
    )
    return bool(done)
