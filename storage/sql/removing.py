"""Taking rows out, and the list of blobs that must follow them.

The list is written in the transaction that removes the rows, so a crash in between leaves nothing behind. A
name stays on it for a while after its blob is gone: who found the blob there before must not rely on it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, delete, exists, func, insert, or_, select, update

from storage.instances import InstanceKey, Origin, StoredInstance
from storage.places import Place, place_of
from storage.sql import events, rejections
from storage.sql.stored import by_sop, chunks, in_series
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

# Nobody takes longer from storing a blob to committing its row.
_REMEMBERED = timedelta(days=1)


def remove(
    connection: Connection, study: str, series_uid: str | None, sop: str | None, origin: Origin
) -> tuple[list[StoredInstance], list[str]]:
    """Remove the rows of a study, series or instance, and put the blobs of all versions on the list.

    Answers the instances, and the blobs of their versions.
    """
    gone = in_series(connection, study, series_uid, sop)
    ids: list[int] = []
    for some in chunks([instance.key.sop for instance in gone]):
        ids += connection.execute(select(instances.c.id).where(instances.c.sop_uid.in_(some))).scalars()
    blobs = [instance.blob for instance in gone] + _older_blobs(connection, ids)
    _list(connection, blobs)
    rejections.forget(connection, [instance.key.sop for instance in gone])
    _remove_instances(connection, ids)
    _tidy(connection, study)
    rows = [events.values("instance.deleted", _uids(instance), None, origin) for instance in gone]
    events.write(connection, rows)
    return gone, blobs


def _uids(instance: StoredInstance) -> tuple[str, str, str]:
    return instance.key.study, instance.key.series, instance.key.sop


def _older_blobs(connection: Connection, ids: Sequence[int]) -> list[str]:
    columns = (studies.c.study_uid, series.c.series_uid, instances.c.sop_uid, superseded.c.version)
    query = select(*columns).select_from(superseded.join(instances).join(series).join(studies))
    blobs: list[str] = []
    for some in chunks(ids):
        rows = connection.execute(query.where(superseded.c.instance_id.in_(some)))
        blobs += [_blob(*row) for row in rows]
    return blobs


def _blob(study: str, series_uid: str, sop: str, version: int) -> str:
    return Place(InstanceKey(study, series_uid, sop), version).blob


def _list(connection: Connection, blobs: Sequence[str]) -> None:
    rows = [{"blob": blob, "asked_at": datetime.now(UTC)} for blob in blobs]
    if rows:
        # A name may be here from an earlier life of the same instance.
        _forget(connection, blobs)
        connection.execute(insert(removals), rows)


def _forget(connection: Connection, blobs: Sequence[str]) -> None:
    for some in chunks(blobs):
        connection.execute(delete(removals).where(removals.c.blob.in_(some)))


def _remove_instances(connection: Connection, ids: Sequence[int]) -> None:
    for some in chunks(ids):
        connection.execute(delete(superseded).where(superseded.c.instance_id.in_(some)))
        connection.execute(delete(headers).where(headers.c.instance_id.in_(some)))
        connection.execute(delete(instances).where(instances.c.id.in_(some)))


def _tidy(connection: Connection, study: str) -> None:
    """Make what is said about the study and its series true again; remove what is empty."""
    study_id = connection.execute(select(studies.c.id).where(studies.c.study_uid == study)).scalar()
    of_study = select(series.c.id).where(series.c.study_id == study_id)
    left = select(func.count()).where(instances.c.series_id == series.c.id).scalar_subquery()
    connection.execute(update(series).where(series.c.study_id == study_id).values(instances=left))
    empty = of_study.where(series.c.instances == 0)
    connection.execute(delete(series_requests).where(series_requests.c.series_id.in_(empty)))
    unused = ~(
        select(instances.c.id)
        .where(
            instances.c.series_id == series_classes.c.series_id,
            instances.c.sop_class == series_classes.c.sop_class,
        )
        .exists()
    )
    connection.execute(delete(series_classes).where(series_classes.c.series_id.in_(of_study), unused))
    connection.execute(delete(series).where(series.c.study_id == study_id, series.c.instances == 0))
    modalities = select(series.c.modality).where(series.c.study_id == study_id)
    connection.execute(
        delete(study_modality).where(
            study_modality.c.study_id == study_id, study_modality.c.modality.not_in(modalities)
        )
    )
    connection.execute(delete(studies).where(studies.c.id == study_id, ~of_study.exists()))


def was_removed_since(connection: Connection, key: InstanceKey, moment: datetime) -> bool:
    """A blob of this instance was put on the list after `moment`."""
    first, later = Place(key).blob, f"{Place(key).blob.removesuffix('dcm')}v"
    mine = or_(removals.c.blob == first, removals.c.blob.startswith(later, autoescape=True))
    return connection.execute(select(exists().where(mine, removals.c.asked_at > moment))).scalar_one()


def claim_orphan(connection: Connection, blob: str) -> bool:
    """Put a blob on the list when no row uses it."""
    place = place_of(blob)
    if place and blob in _used_blobs(connection, place.key.sop):
        return False
    _list(connection, [blob])
    return True


def _used_blobs(connection: Connection, sop: str) -> set[str]:
    current = by_sop(connection, [sop])
    ids = list(connection.execute(select(instances.c.id).where(instances.c.sop_uid == sop)).scalars())
    return {instance.blob for instance in current.values()} | set(_older_blobs(connection, ids))


def pending(connection: Connection, limit: int) -> list[str]:
    """Blobs whose removal is due and not yet confirmed."""
    due = removals.c.due_at.is_(None) | (removals.c.due_at <= datetime.now(UTC))
    query = select(removals.c.blob).where(removals.c.removed_at.is_(None), due).order_by(removals.c.blob)
    return list(connection.execute(query.limit(limit)).scalars())


def unremoved(connection: Connection, blobs: Sequence[str]) -> set[str]:
    """Those of `blobs` whose removal was asked for and not confirmed, due or not."""
    found: set[str] = set()
    for some in chunks(blobs):
        query = select(removals.c.blob).where(removals.c.blob.in_(some), removals.c.removed_at.is_(None))
        found |= set(connection.execute(query).scalars())
    return found


def confirm(connection: Connection, blobs: Sequence[str]) -> None:
    """These blobs are gone; names that were long ago are free again."""
    now = datetime.now(UTC)
    for some in chunks(blobs):
        connection.execute(update(removals).where(removals.c.blob.in_(some)).values(removed_at=now))
    connection.execute(delete(removals).where(removals.c.removed_at < now - _REMEMBERED))
