"""The table of deletions that wait, and what of the removals belongs to each."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from storage.instances import Origin
from storage.sql.stored import chunks
from storage.sql.tables import removals, tombstones
from storage.tombstones import Tombstone


def add(connection: Connection, tombstone: Tombstone, *, written: bool = False) -> None:
    """List a deletion, and its blobs as removals that are due with it; harmless when it is there already."""
    if connection.execute(select(tombstones.c.id).where(tombstones.c.id == tombstone.id)).scalar():
        return
    origin = tombstone.origin
    connection.execute(
        insert(tombstones).values(
            id=tombstone.id,
            study_uid=tombstone.study,
            series_uid=tombstone.series,
            sop_uid=tombstone.sop,
            instances=tombstone.instances,
            deleted_at=tombstone.deleted_at,
            due_at=tombstone.due_at,
            protocol=origin.protocol,
            peer=origin.peer,
            address=origin.address,
            written=written,
        )
    )
    listed = {
        blob
        for some in chunks(tombstone.blobs)
        for blob in connection.execute(select(removals.c.blob).where(removals.c.blob.in_(some))).scalars()
    }
    rows = [
        {"blob": blob, "asked_at": tombstone.deleted_at} for blob in tombstone.blobs if blob not in listed
    ]
    if rows:
        connection.execute(insert(removals), rows)
    for some in chunks(tombstone.blobs):
        waits = removals.c.blob.in_(some) & removals.c.removed_at.is_(None)
        connection.execute(
            update(removals).where(waits).values(due_at=tombstone.due_at, tombstone=tombstone.id)
        )


def listed(connection: Connection) -> list[Tombstone]:
    """Every deletion that waits, the latest first, without its blobs."""
    query = select(tombstones).order_by(tombstones.c.deleted_at.desc(), tombstones.c.id)
    return [_tombstone(row) for row in connection.execute(query)]


def unwritten(connection: Connection) -> list[Tombstone]:
    """Those that have no blob beside the objects yet, with their blobs."""
    rows = connection.execute(select(tombstones).where(tombstones.c.written.is_(False))).all()
    return [replace(_tombstone(row), blobs=tuple(_blobs(connection, row.id))) for row in rows]


def written(connection: Connection, identifier: str) -> None:
    """It has its blob beside the objects."""
    connection.execute(update(tombstones).where(tombstones.c.id == identifier).values(written=True))


def spent(connection: Connection) -> list[Tombstone]:
    """Those all of whose blobs are gone."""
    waiting = select(removals.c.blob).where(
        removals.c.tombstone == tombstones.c.id, removals.c.removed_at.is_(None)
    )
    return [_tombstone(row) for row in connection.execute(select(tombstones).where(~waiting.exists()))]


def waiting(connection: Connection, identifier: str) -> list[str] | None:
    """The blobs that a deletion can still give back; None when there is no such deletion, or it is due."""
    query = select(tombstones.c.id).where(
        tombstones.c.id == identifier, tombstones.c.due_at > datetime.now(UTC)
    )
    if connection.execute(query.with_for_update()).scalar() is None:
        return None
    return _blobs(connection, identifier)


def remove(connection: Connection, identifier: str, blobs: Sequence[str] = ()) -> None:
    """Take a deletion from the list, and the removals of `blobs`."""
    connection.execute(delete(tombstones).where(tombstones.c.id == identifier))
    for some in chunks(blobs):
        connection.execute(delete(removals).where(removals.c.blob.in_(some)))


def _blobs(connection: Connection, identifier: str) -> list[str]:
    query = select(removals.c.blob).where(removals.c.tombstone == identifier, removals.c.removed_at.is_(None))
    return list(connection.execute(query.order_by(removals.c.blob)).scalars())


def _tombstone(row: Any) -> Tombstone:
    return Tombstone(
        id=row.id,
        study=row.study_uid,
        series=row.series_uid,
        sop=row.sop_uid,
        instances=row.instances,
        deleted_at=row.deleted_at,
        due_at=row.due_at,
        origin=Origin(row.protocol, row.peer, row.address),
    )
