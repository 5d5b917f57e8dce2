"""Deleting with a time to think: rows go at once, bytes when it is over, and until then both come back."""

import uuid
from datetime import UTC, datetime, timedelta

from storage import tombstones
from storage.errors import UnknownInstance
from storage.instances import Origin, StoredInstance
from storage.ports import Blobs
from storage.reindex import Reindexed, reindex_blobs
from storage.spool import Spool
from storage.sql.index import SqlIndex
from storage.sweep import finish_removals, try_to_finish_removals
from storage.tombstones import Tombstone


class Deletions:
    """Removes what is stored, at once or after a time in which it can be brought back."""

    def __init__(self, blobs: Blobs, index: SqlIndex, undo: timedelta) -> None:
        """Open nothing.

        Args:
            blobs: where the bytes are.
            index: where the rows are.
            undo: how long what is deleted can be brought back; 0 for never.
        """
        self._blobs = blobs
        self._index = index
        self._undo = undo

    def delete(self, study: str, series: str | None, sop: str | None, origin: Origin) -> list[StoredInstance]:
        """Remove the rows, and the bytes now or later; the instances there were, none when there are none."""
        # Rows before bytes: nobody finds what is half gone. The blobs are on a list that was written with the
        # removal of the rows; if we die here, the scheduler or the sweep goes on.
        gone = self._index.remove(study, series, sop, origin, self._tombstone(study, series, sop, origin))
        if gone and self._undo:
            write_tombstones(self._blobs, self._index)
        elif gone:
            try_to_finish_removals(self._blobs, self._index)
        return gone

    def _tombstone(self, study: str, series: str | None, sop: str | None, origin: Origin) -> Tombstone | None:
        if not self._undo:
            return None
        now = datetime.now(UTC)
        return Tombstone(uuid.uuid4().hex, study, series, sop, 0, now, now + self._undo, origin)


def write_tombstones(blobs: Blobs, index: SqlIndex) -> None:
    """Put the tombstones that the index alone knows beside the objects. Raises `StorageDown`."""
    for tombstone in index.unwritten_tombstones():
        tombstones.write(blobs, tombstone)
        index.confirm_tombstone(tombstone.id)


def expire(blobs: Blobs, index: SqlIndex) -> None:
    """What is to be done from time to time: finish what a crash left, and remove what nobody wants back.

    Raises:
        StorageDown: it could not be finished; do it again.
    """
    write_tombstones(blobs, index)
    finish_removals(blobs, index)


def undelete(blobs: Blobs, index: SqlIndex, spool: Spool, identifier: str) -> Reindexed:
    """Bring back what a deletion took.

    Args:
        blobs: where the bytes still are.
        index: where the rows go.
        spool: where each object waits while it is read.
        identifier: of a tombstone.

    Raises:
        UnknownInstance: there is no such deletion, or its time is over.
        StorageDown, StorageFull: it could not be finished; a sweep brings back the rest.
    """
    tombstone = next((each for each in index.tombstones() if each.id == identifier), None)
    if tombstone is None:
        raise UnknownInstance(f"no deletion {identifier[:64]} waits")
    # The blob first: an index that is made anew must not remove what was given back. The rows last: until
    # they are there, the blobs look like what a crash left, and a sweep takes them in.
    blobs.delete(tombstone.blob)
    names = index.take_back(identifier)
    if names is None:
        raise UnknownInstance(f"the time of deletion {identifier} is over")
    found = [stat for stat in map(blobs.stat, names) if stat]
    return reindex_blobs(blobs, index, spool, found)
