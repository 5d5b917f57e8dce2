"""The table of instances that belong to no patient."""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from storage.header import ObjectHeader
from storage.instances import NonPatientInstance
from storage.layout import Layout
from storage.sql.packing import pack, unpack
from storage.sql.tables import non_patient_instances as table

_COLUMNS = (
    table.c.sop_uid,
    table.c.sop_class,
    table.c.transfer_syntax,
    table.c.size,
    table.c.digest,
    table.c.stored_at,
)


def add(connection: Connection, header: ObjectHeader, stored_at: datetime) -> NonPatientInstance:
    """Make a row; when there is one with this SOP Instance UID, it stays and is answered."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    values = {
        "sop_uid": header.sop,
        "sop_class": header.sop_class,
        "transfer_syntax": header.transfer_syntax,
        "size": header.size,
        "digest": bytes.fromhex(header.digest),
        "stored_at": stored_at,
        "json": pack(header.json),
        "layout": pack(header.layout.to_bytes()),
    }
    connection.execute(dialect.insert(table).on_conflict_do_nothing(index_elements=["sop_uid"]), values)
    found = connection.execute(select(*_COLUMNS).where(table.c.sop_uid == header.sop)).one()
    return _value(found)


def by_sop(connection: Connection, sop: str) -> NonPatientInstance | None:
    """The instance with this SOP Instance UID."""
    found = connection.execute(select(*_COLUMNS).where(table.c.sop_uid == sop)).first()
    return found and _value(found)


def header(connection: Connection, sop: str) -> tuple[bytes, Layout] | None:
    """Its data set in the DICOM JSON Model, and where its big values lie."""
    found = connection.execute(select(table.c.json, table.c.layout).where(table.c.sop_uid == sop)).first()
    return found and (unpack(found.json), Layout.from_bytes(unpack(found.layout)))


def page(
    connection: Connection,
    classes: Collection[str],
    sops: Collection[str] | None,
    before: int | None,
    limit: int,
) -> list[tuple[int, NonPatientInstance, bytes]]:
    """Instances of these SOP classes, the last stored first: number, value, and data set in DICOM JSON.

    Args:
        connection: to read with.
        classes: SOP Class UIDs.
        sops: SOP Instance UIDs they must have one of; None for any.
        before: only those with smaller numbers.
        limit: at most so many.
    """
    query = select(table.c.id, *_COLUMNS, table.c.json).where(table.c.sop_class.in_(classes))
    if sops is not None:
        query = query.where(table.c.sop_uid.in_(sops))
    if before is not None:
        query = query.where(table.c.id < before)
    rows = connection.execute(query.order_by(table.c.id.desc()).limit(limit))
    return [(row.id, _value(row), unpack(row.json)) for row in rows]


def all_sops(connection: Connection) -> Iterator[str]:
    """Every SOP Instance UID."""
    yield from connection.execute(select(table.c.sop_uid)).scalars()


def _value(row: Any) -> NonPatientInstance:
    return NonPatientInstance(
        sop=row.sop_uid,
        sop_class=row.sop_class,
        transfer_syntax=row.transfer_syntax,
        size=row.size,
        digest=row.digest.hex(),
        stored_at=row.stored_at,
    )
