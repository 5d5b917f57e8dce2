"""The table of what was refused."""

import hashlib
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects import postgresql, sqlite

from storage.header import Header, ObjectHeader
from storage.instances import Origin
from storage.refusals import Quarantined
from storage.sql.rows import Values, clean
from storage.sql.tables import quarantine

_LONGEST_REASON = 1000


def note(
    connection: Connection,
    reason: str,
    origin: Origin,
    size: int,
    kept: tuple[str, ObjectHeader] | None = None,
) -> None:
    """Add a refusal of `size` bytes, or count it when the same was refused before.

    `kept` is the blob that keeps the bytes, and what they say; None when they are not kept.
    """
    row = _row(reason, origin, size, *kept) if kept else _row(reason, origin, size)
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(quarantine)
    again = {name: statement.excluded[name] for name in ("last_at", "reason", "protocol", "peer", "address")}
    again["times"] = quarantine.c.times + 1
    connection.execute(statement.on_conflict_do_update(index_elements=["fingerprint"], set_=again), row)


def _row(
    reason: str, origin: Origin, size: int, blob: str | None = None, header: ObjectHeader | None = None
) -> Values:
    now = datetime.now(UTC)
    sender = f"{origin.protocol}\n{origin.peer}\n{origin.address}\n{reason}"
    row: Values = {
        "fingerprint": blob or hashlib.sha256(sender.encode("utf-8", "replace")).hexdigest(),
        "blob": blob,
        "size": size,
        "reason": reason.replace("\0", "")[:_LONGEST_REASON],
        "protocol": origin.protocol,
        "peer": clean(origin.peer),
        "address": clean(origin.address),
        "first_at": now,
        "last_at": now,
    }
    return row | _uids(header) if header else row


def _uids(header: ObjectHeader) -> dict[str, Any]:
    key = header.key if isinstance(header, Header) else None
    return {
        "study_uid": key.study if key else "",
        "series_uid": key.series if key else "",
        "sop_uid": header.sop,
        "sop_class": header.sop_class,
        "transfer_syntax": header.transfer_syntax,
    }


def is_listed(connection: Connection, blob: str) -> bool:
    """There is a refusal whose bytes are in `blob`."""
    return (
        connection.execute(select(quarantine.c.id).where(quarantine.c.fingerprint == blob)).first()
        is not None
    )


def listed(connection: Connection, limit: int, study: str | None) -> list[Quarantined]:
    """What was refused, the latest first."""
    query = select(quarantine).order_by(quarantine.c.last_at.desc(), quarantine.c.id.desc()).limit(limit)
    if study is not None:
        query = query.where(quarantine.c.study_uid == study)
    return [_value(row) for row in connection.execute(query)]


def last_at(connection: Connection) -> str:
    """When something was refused last, as text; whatever is refused changes it."""
    return str(connection.scalar(select(func.max(quarantine.c.last_at))))


def _value(row: Any) -> Quarantined:
    return Quarantined(
        id=row.id,
        blob=row.blob,
        study=row.study_uid,
        series=row.series_uid,
        sop=row.sop_uid,
        sop_class=row.sop_class,
        transfer_syntax=row.transfer_syntax,
        size=row.size,
        reason=row.reason,
        origin=Origin(row.protocol, row.peer, row.address),
        first_at=row.first_at,
        last_at=row.last_at,
        times=row.times,
    )
