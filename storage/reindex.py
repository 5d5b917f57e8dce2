"""The objects are the truth: rows made from blobs alone."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby, islice
from pathlib import Path
from typing import TypeVar

from storage.errors import InvalidInstance, UnknownInstance
from storage.header import ObjectHeader, read_header, read_object
from storage.instances import Origin
from storage.places import (
    NON_PATIENT,
    QUARANTINE,
    STUDIES,
    non_patient_place,
    place_of,
    quarantined,
    quarantined_non_patient,
)
from storage.ports import Blobs, BlobStat
from storage.spool import Spool
from storage.sql.index import Added, Burnt, Entry, SqlIndex
from storage.tombstones import read_all

T = TypeVar("T")

_ORIGIN = Origin("reindex")
_GROUP = 64


@dataclass(frozen=True, slots=True)
class Reindexed:
    """What became of the blobs that were read."""

    added: int = 0
    known: int = 0
    """In the index already; their headers were read anew."""
    quarantined: int = 0
    deleted: int = 0
    """Not made rows: they were deleted, and wait to be removed or brought back."""
    failed: tuple[tuple[str, str], ...] = ()
    """Name and reason of what could not be indexed; the blob stays."""

    def __add__(self, other: "Reindexed") -> "Reindexed":
        return Reindexed(
            self.added + other.added,
            self.known + other.known,
            self.quarantined + other.quarantined,
            self.deleted + other.deleted,
            self.failed + other.failed,
        )


def reindex(
    blobs: Blobs, index: SqlIndex, spool: Spool, progress: Callable[[Reindexed], None] = lambda _: None
) -> Reindexed:
    """Make rows for all blobs, versions and quarantine included; harmless when they are there, or in use.

    What only the index knew is gone: who sent an instance, why one was refused. `stored_at` is the time of
    the blob.

    Args:
        blobs: what is read; nothing in it is changed.
        index: what is written to.
        spool: where each blob waits while it is read.
        progress: told the figures so far, now and then.

    Raises:
        StorageDown, StorageFull: it could not be finished; run it again.
    """
    total = Reindexed()
    # What was deleted is not brought back by the way.
    for tombstone in read_all(blobs):
        index.restore_tombstone(tombstone)
    for some in _groups(_by_arrival(blobs.list(STUDIES))):
        total += reindex_blobs(blobs, index, spool, some)
        progress(total)
    total += reindex_non_patient(blobs, index, spool)
    progress(total)
    for some in _groups(blobs.list(QUARANTINE)):
        total += _quarantine(blobs, index, spool, some)
        progress(total)
    return total


def reindex_blobs(blobs: Blobs, index: SqlIndex, spool: Spool, wanted: Iterable[BlobStat]) -> Reindexed:
    """Make rows for these blobs below `studies/`."""
    total = Reindexed()
    for some in _groups(iter(wanted)):
        entries = [_entry(blobs, spool, found) for found in some]
        total += _add(index, [entry for entry in entries if isinstance(entry, Entry)])
        total += Reindexed(failed=tuple(failure for failure in entries if not isinstance(failure, Entry)))
    return total


def reindex_non_patient(blobs: Blobs, index: SqlIndex, spool: Spool) -> Reindexed:
    """Make rows for all blobs below `non-patient/` that have none."""
    total = Reindexed()
    known = {non_patient_place(sop) for sop in index.non_patient_sops()}
    for found in blobs.list(NON_PATIENT):
        total += Reindexed(known=1) if found.name in known else _add_non_patient(blobs, index, spool, found)
    return total


def _add_non_patient(blobs: Blobs, index: SqlIndex, spool: Spool, found: BlobStat) -> Reindexed:
    try:
        header = _header(blobs, spool, found.name, read_object)
    except (InvalidInstance, UnknownInstance) as error:
        return Reindexed(failed=((found.name, str(error)),))
    if non_patient_place(header.sop) != found.name:
        return Reindexed(failed=((found.name, f"holds SOPInstanceUID {header.sop}"),))
    index.add_non_patient(header, datetime.fromtimestamp(found.modified, UTC))
    return Reindexed(added=1)


def _by_arrival(found: Iterator[BlobStat]) -> Iterator[BlobStat]:
    """Each study in the order in which it came: its first instance says what its patient and study are."""
    for _, study in groupby(found, lambda blob: blob.name.split("/")[1]):
        yield from sorted(study, key=lambda blob: blob.modified)


def _groups(found: Iterator[BlobStat]) -> Iterator[list[BlobStat]]:
    while group := list(islice(found, _GROUP)):
        yield group


def _header(blobs: Blobs, spool: Spool, blob: str, read: Callable[[Path], T]) -> T:
    with spool.new() as file:
        for chunk in blobs.stream(blob):
            file.write(chunk)
        file.close()
        return read(file.path)


def _entry(blobs: Blobs, spool: Spool, found: BlobStat) -> Entry | tuple[str, str]:
    place = place_of(found.name)
    if place is None:
        return found.name, "not the name of an instance"
    try:
        header = _header(blobs, spool, found.name, read_header)
    except (InvalidInstance, UnknownInstance) as error:
        return found.name, str(error)
    if header.key != place.key:
        return found.name, f"holds SOPInstanceUID {header.key.sop} of another place"
    stored_at = datetime.fromtimestamp(found.modified, UTC)
    return Entry(header, header.stored_as(found.name, place.version, stored_at), _ORIGIN, None, "place")


def _add(index: SqlIndex, entries: list[Entry]) -> Reindexed:
    total = Reindexed()
    for entry, result in zip(entries, index.add(entries) if entries else [], strict=True):
        if isinstance(result, Added):
            total += Reindexed(added=1)
        elif isinstance(result, Burnt):
            total += Reindexed(deleted=1)
        elif isinstance(result, Exception):
            total += Reindexed(failed=((entry.instance.blob, str(result)),))
        elif result.instance.key == entry.key:
            total += Reindexed(known=1)
        else:
            reason = f"SOPInstanceUID {entry.key.sop} is stored as {result.instance.blob}"
            total += Reindexed(failed=((entry.instance.blob, reason),))
    return total


def _quarantine(blobs: Blobs, index: SqlIndex, spool: Spool, some: list[BlobStat]) -> Reindexed:
    total = Reindexed()
    for found in some:
        if index.knows_refusal(found.name):
            total += Reindexed(known=1)
            continue
        try:
            header, expected = _quarantined(blobs, spool, found.name)
        except (InvalidInstance, UnknownInstance) as error:
            total += Reindexed(failed=((found.name, str(error)),))
            continue
        if expected != found.name:
            total += Reindexed(failed=((found.name, "not the name of a quarantined instance"),))
            continue
        index.note_refusal("found in quarantine by a reindex", _ORIGIN, header.size, (found.name, header))
        total += Reindexed(quarantined=1)
    return total


def _quarantined(blobs: Blobs, spool: Spool, blob: str) -> tuple[ObjectHeader, str]:
    """What a quarantined blob holds, and the name that this should have."""
    if blob.startswith(QUARANTINE + NON_PATIENT):
        other = _header(blobs, spool, blob, read_object)
        return other, quarantined_non_patient(other.sop, other.digest)
    header = _header(blobs, spool, blob, read_header)
    return header, quarantined(header.key, header.digest)
