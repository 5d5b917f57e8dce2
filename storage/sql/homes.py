"""The series and study rows that instances belong to: found, or made with all that hangs on them."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, Table, bindparam, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from storage.sql.prepared import Binds, Prepared
from storage.sql.rows import Entry, Values
from storage.sql.tables import series, series_classes, series_requests, studies, study_modality

SeriesUids = tuple[str, str]
"""Study and Series Instance UID."""


@dataclass(frozen=True, slots=True)
class Home:
    """The series, and the study, that instances go to."""

    series_id: int
    patient_id: str
    classes: set[str] = field(default_factory=set)
    """SOP classes its series is known to have."""


_HOME_COLUMNS = (
    studies.c.study_uid,
    series.c.series_uid,
    series.c.id,
    studies.c.patient_id,
    series_classes.c.sop_class,
)


def _of_series(_dialect: str, rows: list[Binds]) -> Select[Any]:
    source = series.join(studies).outerjoin(series_classes)
    uids = [row["series_uid"] for row in rows]
    return select(*_HOME_COLUMNS).select_from(source).where(series.c.series_uid.in_(uids))


_HOMES = Prepared((series.c.series_uid,), _HOME_COLUMNS, _of_series)

_STUDIES = select(studies.c.study_uid, studies.c.id, studies.c.study_date).where(
    studies.c.study_uid.in_(bindparam("uids", expanding=True))
)


def homes_of(connection: Connection, entries: Sequence[Entry]) -> dict[SeriesUids, Home]:
    """The homes of `entries`; missing ones are made, with what hangs on them."""
    first = _first_of_each(entries, series_uids)
    homes = _found_homes(connection, first)
    missing = {uids: entry for uids, entry in first.items() if uids not in homes}
    if missing:
        _make_homes(connection, missing)
        homes |= _found_homes(connection, missing)
    _insert_classes(connection, entries, homes)
    return homes


def series_uids(entry: Entry) -> SeriesUids:
    return entry.key.study, entry.key.series


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
        insert_missing(connection, studies, missing, (studies.c.id,), ["study_uid"])
        found |= _study_rows(connection, [row["study_uid"] for row in missing])
    return found


def _study_rows(connection: Connection, uids: Collection[str]) -> dict[str, Any]:
    return {row.study_uid: row for row in connection.execute(_STUDIES, {"uids": list(uids)})}


def _found_homes(connection: Connection, uids: Collection[SeriesUids]) -> dict[SeriesUids, Home]:
    homes: dict[SeriesUids, Home] = {}
    for study, series_uid, key, patient_id, sop_class in _HOMES.ask(connection, [(s,) for _, s in uids]):
        home = homes.setdefault((study, series_uid), Home(key, patient_id))
        home.classes.add(sop_class)
    return homes


def _make_homes(connection: Connection, missing: dict[SeriesUids, Entry]) -> None:
    study_rows = _studies(connection, list(missing.values()))
    rows = [{"series_uid": s, "study_id": study_rows[t].id} | e.series for (t, s), e in missing.items()]
    key = (series.c.study_id, series.c.series_uid)
    made = insert_missing(connection, series, rows, (series.c.id, *key), ["series_uid", "study_id"])
    ids = {(row.study_id, row.series_uid): row.id for row in made}
    new = [(ids.get((study_rows[t].id, s)), e) for (t, s), e in missing.items()]
    _insert_requests(connection, [(key, entry) for key, entry in new if key is not None])
    _insert_modalities(connection, missing.values(), study_rows)


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
    insert_missing(
        connection, study_modality, rows, (study_modality.c.study_id,), list(rows[0]) if rows else []
    )


def _insert_classes(connection: Connection, entries: Iterable[Entry], homes: dict[SeriesUids, Home]) -> None:
    wanted = [(homes[series_uids(entry)], entry.instance.sop_class) for entry in entries]
    pairs = sorted({(home.series_id, name) for home, name in wanted if name not in home.classes})
    missing = [{"series_id": s, "sop_class": c} for s, c in pairs]
    insert_missing(
        connection, series_classes, missing, (series_classes.c.series_id,), ["series_id", "sop_class"]
    )


def insert_missing(
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
