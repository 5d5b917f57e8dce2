"""Many instances into the index in one transaction, in an order in which no two writers wait for each other.

Every statement takes a set, in order of UIDs and then of numbers; only what is missing is inserted. Row by
row, four writers of the same studies deadlock in PostgreSQL.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, Table, bindparam, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from storage.instances import StoredInstance
from storage.sql import events
from storage.sql.rows import Entry, Values
from storage.sql.stored import by_sop
from storage.sql.tables import (
    headers,
    instances,
    removals,
    series,
    series_classes,
    series_requests,
    studies,
    study_modality,
    superseded,
)

SeriesUids = tuple[str, str]
"""Study and Series Instance UID."""


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

# Built once: building a statement costs more than SQLite needs to answer it.
_BURNT = select(removals.c.blob).where(removals.c.blob.in_(bindparam("blobs", expanding=True)))
_STUDIES = select(studies.c.study_uid, studies.c.id, studies.c.patient_id, studies.c.study_date).where(
    studies.c.study_uid.in_(bindparam("uids", expanding=True))
)
_SERIES = (
    select(studies.c.study_uid, series.c.series_uid, series.c.id)
    .select_from(series.join(studies))
    .where(series.c.series_uid.in_(bindparam("uids", expanding=True)))
)
_CLASSES = select(series_classes).where(series_classes.c.series_id.in_(bindparam("ids", expanding=True)))
_INSERT_HEADERS = insert(headers)
_COUNT = (
    update(series)
    .where(series.c.id == bindparam("series_key"))
    .values(instances=series.c.instances + bindparam("more"))
)


def add(connection: Connection, entries: Sequence[Entry]) -> list[Result]:
    """Make `entries` rows, with their events; no two may have the same SOP Instance UID.

    Known ones are first asked for, so that sending a study again costs one query a batch.
    """
    known = by_sop(connection, [entry.key.sop for entry in entries])
    burnt = _burnt(connection, [entry.instance.blob for entry in entries])
    fresh = [e for e in entries if e.key.sop not in known and e.instance.blob not in burnt]
    warnings = _insert(connection, fresh)
    lost = [entry.key.sop for entry in fresh if entry.key.sop not in warnings]
    # Others were faster between our question and our insert; theirs are committed by now.
    known |= by_sop(connection, lost) if lost else {}
    results: list[Result] = []
    for entry in entries:
        if entry.instance.blob in burnt:
            results.append(Burnt())
        elif entry.key.sop in warnings:
            results.append(Added(warnings[entry.key.sop]))
        else:
            results.append(_meet(connection, entry, known[entry.key.sop]))
    events.write(
        connection, [_event(e, r) for e, r in zip(entries, results, strict=True) if isinstance(r, Added)]
    )
    return results


def _event(entry: Entry, result: Added) -> Values:
    uids = (entry.key.study, entry.key.series, entry.key.sop)
    if result.replaced:
        return events.values("instance.replaced", uids, entry.delivery, entry.origin)
    return events.values("instance.stored", uids, entry.delivery, entry.origin)


def _burnt(connection: Connection, blobs: Sequence[str]) -> set[str]:
    return set(connection.execute(_BURNT, {"blobs": blobs}).scalars())


def _insert(connection: Connection, entries: Sequence[Entry]) -> dict[str, tuple[str, ...]]:
    """Insert what is new; the warnings of each entry that went in, by its SOP Instance UID."""
    if not entries:
        return {}
    entries = sorted(entries, key=lambda entry: entry.key.sop)
    study_rows = _studies(connection, entries)
    series_ids = _series(connection, entries, study_rows)
    rows = [
        {"series_id": series_ids[_series_uids(e)], "sop_uid": e.key.sop} | e.stored | e.details
        for e in entries
    ]
    ids = dict(
        _insert_missing(connection, instances, rows, (instances.c.sop_uid, instances.c.id), ["sop_uid"])
    )
    inserted = [entry for entry in entries if entry.key.sop in ids]
    _insert_headers(connection, inserted, ids)
    _count(connection, Counter(series_ids[_series_uids(entry)] for entry in inserted))
    return {entry.key.sop: _warnings(entry, study_rows[entry.key.study]) for entry in inserted}


def _series_uids(entry: Entry) -> SeriesUids:
    return entry.key.study, entry.key.series


def _insert_missing(
    connection: Connection, table: Table, rows: Sequence[Values], returned: Sequence[Any], unique: list[str]
) -> list[Any]:
    """Insert the `rows` that are not there; what `returned` is of those that went in."""
    if not rows:
        return []
    statement = _inserts_missing(connection.dialect.name, table, tuple(returned), tuple(unique))
    return list(connection.execute(statement, rows))


@cache
def _inserts_missing(dialect: str, table: Table, returned: tuple[Any, ...], unique: tuple[str, ...]) -> Any:
    kind = postgresql if dialect == "postgresql" else sqlite
    statement = kind.insert(table).on_conflict_do_nothing(index_elements=list(unique))
    return statement.returning(*returned)


def _first_of_each(entries: Iterable[Entry], uid: Any) -> dict[Any, Entry]:
    first: dict[Any, Entry] = {}
    for entry in entries:
        first.setdefault(uid(entry), entry)
    return dict(sorted(first.items()))


def _studies(connection: Connection, entries: Sequence[Entry]) -> dict[str, Any]:
    """The rows of the studies of `entries`, by UID; missing ones as their first entry has them."""
    first = _first_of_each(entries, lambda entry: entry.key.study)
    found = _study_rows(connection, first)
    missing = [{"study_uid": uid} | e.study for uid, e in first.items() if uid not in found]
    if missing:
        _insert_missing(connection, studies, missing, (studies.c.id,), ["study_uid"])
        found |= _study_rows(connection, [row["study_uid"] for row in missing])
    return found


def _study_rows(connection: Connection, uids: Collection[str]) -> dict[str, Any]:
    return {row.study_uid: row for row in connection.execute(_STUDIES, {"uids": list(uids)})}


def _series(
    connection: Connection, entries: Sequence[Entry], study_rows: dict[str, Any]
) -> dict[SeriesUids, int]:
    """The keys of the series of `entries`; missing ones are made, with what hangs on them."""
    first = _first_of_each(entries, _series_uids)
    found = _series_ids(connection, first)
    missing = {uids: entry for uids, entry in first.items() if uids not in found}
    if missing:
        rows = [{"series_uid": s, "study_id": study_rows[t].id} | e.series for (t, s), e in missing.items()]
        key = ["series_uid", "study_id"]
        new = {row.id for row in _insert_missing(connection, series, rows, (series.c.id,), key)}
        found |= _series_ids(connection, missing)
        _insert_requests(connection, [(found[u], e) for u, e in missing.items() if found[u] in new])
        _insert_modalities(connection, missing.values(), study_rows)
    _insert_classes(connection, {(found[_series_uids(e)], e.instance.sop_class) for e in entries})
    return found


def _series_ids(connection: Connection, uids: Collection[SeriesUids]) -> dict[SeriesUids, int]:
    rows = connection.execute(_SERIES, {"uids": [series_uid for _, series_uid in uids]})
    return {(row.study_uid, row.series_uid): row.id for row in rows}


def _insert_requests(connection: Connection, new: Iterable[tuple[int, Entry]]) -> None:
    rows = [{"series_id": series_id} | item for series_id, entry in new for item in entry.requests]
    if rows:
        connection.execute(insert(series_requests), rows)


def _insert_modalities(connection: Connection, entries: Iterable[Entry], study_rows: dict[str, Any]) -> None:
    keys = {
        (entry.series["modality"], study_rows[entry.key.study].study_date, study_rows[entry.key.study].id)
        for entry in entries
        if entry.series["modality"]
    }
    rows = [dict(zip(("modality", "study_date", "study_id"), key, strict=True)) for key in sorted(keys)]
    _insert_missing(
        connection, study_modality, rows, (study_modality.c.study_id,), list(rows[0]) if rows else []
    )


def _insert_classes(connection: Connection, pairs: set[tuple[int, str]]) -> None:
    ids = sorted({series_id for series_id, _ in pairs})
    known = {(row.series_id, row.sop_class) for row in connection.execute(_CLASSES, {"ids": ids})}
    missing = [{"series_id": s, "sop_class": c} for s, c in sorted(pairs - known)]
    _insert_missing(
        connection, series_classes, missing, (series_classes.c.series_id,), ["series_id", "sop_class"]
    )


def _insert_headers(connection: Connection, entries: Sequence[Entry], ids: dict[str, int]) -> None:
    if entries:
        rows = [{"instance_id": ids[e.key.sop], "json": e.json, "layout": e.layout} for e in entries]
        connection.execute(_INSERT_HEADERS, rows)


def _count(connection: Connection, more: Counter[int]) -> None:
    # Last, and in the order of the keys: this is the one row that all receivers of a series want.
    if more:
        connection.execute(_COUNT, [{"series_key": key, "more": n} for key, n in sorted(more.items())])


def _warnings(entry: Entry, study: Any) -> tuple[str, ...]:
    theirs, mine = study.patient_id, entry.study["patient_id"]
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
    done = _insert_missing(
        connection, superseded, [row | entry.stored], (superseded.c.id,), ["instance_id", "version"]
    )
    return bool(done)
