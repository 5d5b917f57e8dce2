"""Rows of instances as values, and the questions asked about them."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Select, func, select

from storage.instances import Contents, InstanceKey, StoredInstance
from storage.places import Place
from storage.sql.prepared import Binds, Prepared
from storage.sql.tables import headers, instances, rejections, series, studies, superseded

T = TypeVar("T")

# SQLite takes 32766 parameters in one statement; plans are cached for a list of any length.
CHUNK = 500

WHOLE = instances.join(series).join(studies)
_KEY = (studies.c.study_uid, series.c.series_uid, instances.c.sop_uid)
_FIELDS = ("sop_class", "transfer_syntax", "size", "digest", "version", "stored_at", "number_of_frames")
_COLUMNS = (*_KEY, *(instances.c[name] for name in _FIELDS))
_CURRENT: Select[Any] = select(*_COLUMNS).select_from(WHOLE)


def _of_sops(_dialect: str, rows: list[Binds]) -> Select[Any]:
    return _CURRENT.where(instances.c.sop_uid.in_([row["sop_uid"] for row in rows]))


_BY_SOP = Prepared((instances.c.sop_uid,), _COLUMNS, _of_sops)


def _of_key(_dialect: str, rows: list[Binds]) -> Select[Any]:
    (asked,) = rows
    return _CURRENT.where(*(column == asked[column.name] for column in _KEY))


def _layout_of(_dialect: str, rows: list[Binds]) -> Any:
    (asked,) = rows
    here = (instances.c[name] == asked[name] for name in ("sop_uid", "version"))
    return select(*_LAYOUT).select_from(instances.join(headers)).where(*here)


_LAYOUT = (headers.c.layout, instances.c.dataset_offset)
_BY_KEY = Prepared(_KEY, _COLUMNS, _of_key)
_CURRENT_LAYOUT = Prepared((instances.c.sop_uid, instances.c.version), _LAYOUT, _layout_of)


_REJECTED = select(rejections.c.sop_uid).where(rejections.c.sop_uid == instances.c.sop_uid)
IS_SHOWN = ~_REJECTED.correlate(instances).exists()
"""An instance that no note rejects."""


def _summary(depth: int) -> Prepared:
    """Sums over a study, series or instance: whatever happens to an instance changes one of them."""
    path = _KEY[:depth]
    # The number of a removed row may be given again, and a clock may stand still; not both to the same row.
    moments = (func.sum(instances.c.id), func.sum(instances.c.version), func.max(instances.c.stored_at))

    def build(_dialect: str, rows: list[Binds]) -> Any:
        (asked,) = rows
        here = (column == asked[column.name] for column in path)
        return select(func.count(), *moments).select_from(WHOLE).where(*here, IS_SHOWN)

    # A count and a sum of numbers, as any number, are given as the driver has them.
    given = (instances.c.id, instances.c.id, instances.c.version, instances.c.stored_at)
    return Prepared(path, given, build)


_CONTENTS = {depth: _summary(depth) for depth in (1, 2, 3)}
_BY_NUMBER = (
    *(series.c.number.is_(None), series.c.number, series.c.id),
    *(instances.c.number.is_(None), instances.c.number, instances.c.id),
)
_REPLACED: Select[Any] = select(*_KEY, *(superseded.c[name] for name in _FIELDS)).select_from(
    superseded.join(WHOLE, superseded.c.instance_id == instances.c.id)
)


def chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """`values` in pieces that fit one statement."""
    return (values[at : at + CHUNK] for at in range(0, len(values), CHUNK))


def from_row(row: Sequence[Any]) -> StoredInstance:
    """The value of a row of `_COLUMNS`."""
    study, series_uid, sop, sop_class, transfer_syntax, size, digest, version, stored_at, frames = row
    key = InstanceKey(study, series_uid, sop)
    return StoredInstance(
        key=key,
        sop_class=sop_class,
        transfer_syntax=transfer_syntax,
        size=size,
        digest=digest.hex(),
        blob=Place(key, version).blob,
        version=version,
        stored_at=stored_at,
        number_of_frames=frames,
    )


def by_sop(connection: Connection, uids: Sequence[str]) -> dict[str, StoredInstance]:
    """The current version of each of these SOP Instance UIDs that is stored."""
    found = _BY_SOP.ask(connection, [(uid,) for uid in sorted(set(uids))])
    return {instance.key.sop: instance for instance in map(from_row, found)}


def in_series(
    connection: Connection, study: str, series_uid: str | None, sop: str | None
) -> list[StoredInstance]:
    """The instances of a study or series in order of series and instance number, or the one instance."""
    if series_uid is not None and sop is not None:
        return [from_row(row) for row in _BY_KEY.ask(connection, [(study, series_uid, sop)])]
    query = _CURRENT.where(studies.c.study_uid == study)
    if series_uid is not None:
        query = query.where(series.c.series_uid == series_uid)
    if sop is not None:
        query = query.where(instances.c.sop_uid == sop)
    return [from_row(row) for row in connection.execute(query.order_by(*_BY_NUMBER))]


def contents(connection: Connection, study: str, series_uid: str | None, sop: str | None) -> Contents:
    """How many instances of `in_series` are not rejected, and a token that is another when one of them is."""
    path = [uid for uid in (study, series_uid, sop) if uid is not None]
    ((count, *rest),) = _CONTENTS[len(path)].ask(connection, [tuple(path)])
    return Contents(count, rest[-1], "-".join(map(str, rest)))


def versions(connection: Connection, sop: str) -> list[StoredInstance]:
    """All versions that are kept, the current one last."""
    replaced = _REPLACED.where(instances.c.sop_uid == sop).order_by(superseded.c.version)
    current = _CURRENT.where(instances.c.sop_uid == sop)
    return [from_row(row) for query in (replaced, current) for row in connection.execute(query)]


def packed_headers(connection: Connection, wanted: Sequence[StoredInstance]) -> dict[tuple[str, int], bytes]:
    """The packed JSON of each instance that is stored, by SOP Instance UID and version."""
    return _side_column(connection, wanted, "json")


def packed_layout(connection: Connection, wanted: StoredInstance) -> tuple[bytes, int] | None:
    """The packed layout and the offset of the data set; None when this version is not stored."""
    key = (wanted.key.sop, wanted.version)
    if current := _CURRENT_LAYOUT.ask(connection, [key]):
        layout, offset = current[0]
        return layout, offset
    replaced = select(superseded.c.layout, superseded.c.dataset_offset).select_from(
        superseded.join(instances)
    )
    this = replaced.where(instances.c.sop_uid == key[0], superseded.c.version == key[1])
    row = connection.execute(this).one_or_none()
    return row and (row.layout, row.dataset_offset)


def _side_column(
    connection: Connection, wanted: Sequence[StoredInstance], name: str
) -> dict[tuple[str, int], bytes]:
    current = select(instances.c.sop_uid, instances.c.version, headers.c[name]).select_from(
        instances.join(headers)
    )
    replaced = select(instances.c.sop_uid, superseded.c.version, superseded.c[name]).select_from(
        superseded.join(instances)
    )
    found: dict[tuple[str, int], bytes] = {}
    for query in (current, replaced):
        missing = [i.key.sop for i in wanted if (i.key.sop, i.version) not in found]
        for some in chunks(missing):
            rows = connection.execute(query.where(instances.c.sop_uid.in_(some)))
            found |= {(sop, version): packed for sop, version, packed in rows}
    return found


def blobs_of_study(connection: Connection, study: str) -> set[str]:
    """The names of the blobs of all versions of a study's instances."""
    versions = [(WHOLE, instances.c.version), (superseded.join(WHOLE), superseded.c.version)]
    found: set[str] = set()
    for source, version in versions:
        rows = connection.execute(
            select(*_KEY, version).select_from(source).where(studies.c.study_uid == study)
        )
        found |= {Place(InstanceKey(*uids), number).blob for *uids, number in rows}
    return found


def size(connection: Connection) -> int:
    """Bytes of all instances."""
    return int(connection.scalar(select(func.sum(instances.c.size))) or 0)


def counts(connection: Connection) -> dict[str, int]:
    """How many rows there are at each level."""
    tables = {"study": studies, "series": series, "instance": instances}
    return {
        level: connection.scalar(select(func.count()).select_from(table)) or 0
        for level, table in tables.items()
    }
