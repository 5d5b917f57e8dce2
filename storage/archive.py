"""The archive: everything that comes in, goes out, is searched or removed passes here."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import chain
from typing import BinaryIO, TypeVar

from storage.deletions import Deletions
from storage.delivery import Delivery
from storage.errors import UnknownInstance
from storage.events import Event
from storage.inflate import inflated_range
from storage.ingest import Duplicates, Ingest
from storage.instances import Contents, Origin, StoredInstance
from storage.layout import Layout
from storage.non_patient import NonPatientInstances
from storage.part10 import read_meta
from storage.ports import Blobs
from storage.recover import recover
from storage.refusals import Quarantined
from storage.search import Page, Query
from storage.senders import Senders
from storage.spool import Spool
from storage.sql.index import SqlIndex
from storage.sql.packing import unpack

T = TypeVar("T")

_HEADERS_AT_ONCE = 256
_LAYOUTS = 64


class Archive:
    """What is stored: bytes in `blobs`, and rows in `index` that say what they are.

    Safe to use from many threads and processes over the same blobs and index. Every method raises
    `StorageDown` when one of the two does not answer.
    """

    def __init__(
        self,
        blobs: Blobs,
        index: SqlIndex,
        *,
        duplicates: Duplicates = "keep",
        undo: timedelta = timedelta(0),
    ) -> None:
        """Open nothing.

        Args:
            blobs: where the bytes are kept.
            index: where the rows are kept.
            duplicates: what happens to other bytes under a SOP Instance UID that is taken: `keep` refuses and
                quarantines them; `replace` serves them from now on, and keeps the old ones as a version.
            undo: how long what is deleted can be brought back; 0 for never.
        """
        self._blobs = blobs
        self._index = index
        self._deletions = Deletions(blobs, index, undo)
        self._ingest = Ingest(blobs, index, duplicates)
        self.non_patient = NonPatientInstances(blobs, index)
        """Instances that belong to no patient."""
        self._layout = lru_cache(_LAYOUTS)(self._read_layout)

    def delivery(self, origin: Origin) -> Delivery:
        """What one sender brings in one go; use it as a context manager and `ingest` into it."""
        return Delivery(self._ingest, self._index, origin)

    def instance(self, sop: str) -> StoredInstance:
        """The current version of one instance. Raises `UnknownInstance`."""
        found = self._index.instance(sop)
        if found is None:
            raise UnknownInstance(f"no instance {sop}")
        return found

    def instances(
        self, study: str, series: str | None = None, sop: str | None = None, *, rejected: bool = False
    ) -> list[StoredInstance]:
        """The instances of a study or series in order of series and instance number, or the one instance.

        Those that a rejection note takes out of use are among them only when `rejected`.

        Raises:
            UnknownInstance: there is none.
        """
        found = self._index.instances(study, series, sop, rejected=rejected)
        if not found:
            raise _unknown(study, series, sop)
        return found

    def rejected(self, sops: Sequence[str]) -> set[str]:
        """Those of these SOP Instance UIDs that a rejection note takes out of use (`storage.rejection`)."""
        return self._index.rejected(sops)

    def contents(self, study: str, series: str | None = None, sop: str | None = None) -> Contents:
        """How much `instances` would give, and whether it is what it was; for a fraction of the cost.

        Raises:
            UnknownInstance: there is none.
        """
        found = self._index.contents(study, series, sop)
        if not found.instances:
            raise _unknown(study, series, sop)
        return found

    def versions(self, sop: str) -> list[StoredInstance]:
        """All kept versions of an instance, the current one last. Raises `UnknownInstance`."""
        found = self._index.versions(sop)
        if not found:
            raise UnknownInstance(f"no instance {sop}")
        return found

    def headers(self, instances: Sequence[StoredInstance]) -> Iterator[bytes]:
        """The header of each instance, in order: a DICOM JSON object (PS3.18 F.2) in UTF-8.

        Big values have a `BulkDataURI` of `bulkdata:<path>`, with `<path>` as in `Layout.bulk`.

        Raises:
            UnknownInstance: an instance is gone; those before it were given.
        """
        for at in range(0, len(instances), _HEADERS_AT_ONCE):
            some = instances[at : at + _HEADERS_AT_ONCE]
            packed = self._index.headers(some)
            for instance in some:
                yield unpack(_found(packed.get((instance.key.sop, instance.version)), instance))

    def layout(self, instance: StoredInstance) -> Layout:
        """Where its frames and big values lie. Raises `UnknownInstance`."""
        return self._layout(instance)[0]

    def _read_layout(self, instance: StoredInstance) -> tuple[Layout, int]:
        return _found(self._index.layout(instance), instance)

    def open(self, instance: StoredInstance) -> BinaryIO:
        """A seekable reader over the Part 10 file. Raises `UnknownInstance`."""
        return self._blobs.open(instance.blob)

    def stream(self, instance: StoredInstance, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The bytes of the Part 10 file in chunks of at most 1 MiB. Raises `UnknownInstance`."""
        return self._blobs.stream(instance.blob, offset, length)

    def dataset(self, instance: StoredInstance) -> Iterator[bytes]:
        """The bytes of the data set, as they are stored, in chunks of at most 1 MiB.

        Raises:
            UnknownInstance: the instance is gone.
            InvalidInstance: its file is damaged.
        """
        chunks = self._blobs.stream(instance.blob, 0, instance.size)
        # File meta information is never longer than a chunk.
        first = next(chunks, b"")
        return chain((first[read_meta(first).dataset_offset :],), chunks)

    def read_range(self, instance: StoredInstance, offset: int, length: int) -> bytes:
        """`length` bytes of the Part 10 file; fewer only at its end. Raises `UnknownInstance`."""
        return self._blobs.read_range(instance.blob, offset, length)

    def read_value(self, instance: StoredInstance, offset: int, length: int) -> bytes:
        """`length` bytes at an offset as in `Layout`: of the file, or of its inflated data set (PS3.5 A.5).

        Raises:
            UnknownInstance: the instance is gone.
        """
        layout, dataset_offset = self._layout(instance)
        if layout.deflated:
            return inflated_range(self._blobs.stream(instance.blob, dataset_offset), offset, length)
        return self._blobs.read_range(instance.blob, offset, length)

    def dataset_offset(self, instance: StoredInstance) -> int:
        """The first byte of the data set, behind the file meta information. Raises `UnknownInstance`."""
        return self._layout(instance)[1]

    def frame(self, instance: StoredInstance, number: int) -> bytes:
        """The bytes of one frame as they are stored, encoded or native.

        Native frames whose bits do not start at a byte come with the whole bytes that cover them.

        Args:
            instance: of which.
            number: counted from 1 (PS3.3 C.7.6.6).

        Raises:
            UnknownInstance: there is no such instance or frame.
        """
        pieces = _merged(self.layout(instance).frame(number))
        return b"".join(self.read_value(instance, offset, length) for offset, length in pieces)

    def damage(self, instance: StoredInstance, *, read_up_to: int) -> str:
        """What is wrong with the bytes of an instance; empty when they are there as they came.

        Args:
            instance: of which.
            read_up_to: bytes; of a bigger file only the size is compared, of others the digest too.
        """
        found = self._blobs.stat(instance.blob)
        if found is None:
            return f"{instance.blob} is gone"
        if found.size != instance.size:
            return f"{instance.blob} has {found.size} bytes in place of {instance.size}"
        if instance.size > read_up_to:
            return ""
        digest = hashlib.sha256()
        for chunk in self.stream(instance, self.dataset_offset(instance)):
            digest.update(chunk)
        return "" if digest.hexdigest() == instance.digest else f"{instance.blob} has other bytes"

    def search(self, query: Query) -> Page:
        """Answers in order, newest study first. Raises `InvalidQuery`, naming the attribute."""
        return self._index.search(query)

    def delete(
        self,
        study: str,
        series: str | None = None,
        sop: str | None = None,
        *,
        origin: Origin = Origin("review"),  # noqa: B008 - a frozen value
    ) -> int:
        """Delete a study, series or instance with all its versions; how many instances there were.

        Raises:
            UnknownInstance: there is none.
        """
        gone = self._deletions.delete(study, series, sop, origin)
        if not gone:
            raise UnknownInstance(f"nothing is stored under {sop or series or study}")
        return len(gone)

    def events(self, after: str | None = None, limit: int = 1000) -> list[Event]:
        """Up to `limit` events behind the cursor `after`, from the first when it is None.

        None is skipped, however late its transaction commits. Raises `InvalidQuery` when `after` is no
        cursor.
        """
        return self._index.events(after, limit)

    def last_cursor(self) -> str:
        """The cursor behind all events so far: from it on, `events` gives what is still to happen."""
        return self._index.last_cursor()

    def refusals(self, limit: int = 1000, study: str | None = None) -> list[Quarantined]:
        """What was refused, latest first; of one study, or of all."""
        return self._index.refusals(limit, study)

    def recover(self, spool: Spool) -> int:
        """Make again what a crash took back of the instances that dead processes acknowledged; how many.

        Raises:
            StorageDown, StorageFull: it could not be finished; nothing is lost, do it again.
        """
        return recover(spool, self._ingest, self._blobs, self._index)

    def close(self) -> None:
        """Wait for what is being stored, and let go of its spool. Harmless when done before."""
        self._ingest.close()

    def counts(self) -> dict[str, int]:
        """How many studies, series and instances are stored, by level; reads whole tables."""
        return self._index.counts()

    def size(self) -> int:
        """Bytes of all instances, in the versions served; reads a whole table."""
        return self._index.size()

    def senders(self, now: datetime) -> Senders:
        """Who sent what in the day before `now`, told from the newest events."""
        return self._index.senders(now)

    def health(self) -> None:
        """Raise `StorageDown`, naming the reason, when something could not be stored or read now."""
        self._blobs.health()
        self._index.health()


def _unknown(study: str, series: str | None, sop: str | None) -> UnknownInstance:
    named = {"study": study, "series": series, "instance": sop}
    return UnknownInstance("no " + ", ".join(f"{kind} {uid}" for kind, uid in named.items() if uid))


def _found(value: T | None, instance: StoredInstance) -> T:
    if value is None:
        raise UnknownInstance(
            f"instance {instance.key.sop}, version {instance.version}, is not stored any more"
        )
    return value


def _merged(pieces: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same bytes in as few ranges as possible."""
    merged: list[tuple[int, int]] = []
    for offset, length in pieces:
        if merged and sum(merged[-1]) == offset:
            merged[-1] = (merged[-1][0], merged[-1][1] + length)
        else:
            merged.append((offset, length))
    return merged
