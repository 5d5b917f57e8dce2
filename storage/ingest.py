"""The one way in: from a received file to an acknowledged instance."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeVar

from storage.committer import Committer
from storage.disk import disk_errors
from storage.errors import DuplicateInstance, InvalidInstance, StorageError, UnknownInstance
from storage.header import Header, read_header
from storage.instances import Accepted, Origin, StoredInstance
from storage.journal import Journal
from storage.places import Place, quarantined
from storage.ports import Blobs
from storage.spool import SpoolFile
from storage.sql.index import Added, Burnt, Entry, Result, SqlIndex
from storage.sweep import remove_orphan

Duplicates = Literal["keep", "replace"]
T = TypeVar("T")
U = TypeVar("U")

_AT_ONCE = 8


class Ingest:
    """Stores instances one by one; safe to call from many threads, whose rows are committed together."""

    def __init__(self, blobs: Blobs, index: SqlIndex, duplicates: Duplicates) -> None:
        self._blobs = blobs
        self._index = index
        self._replace = duplicates == "replace"
        self._threads = ThreadPoolExecutor(_AT_ONCE, "ingest")
        self._committer: Committer[Entry, Result | Exception] = Committer(index.add)
        self._journal = Journal(self._settle)

    def _settle(self) -> None:
        self._blobs.settle()
        self._index.settle()

    def several_at_once(self, do: Callable[[T], U], things: Iterable[T]) -> list[U]:
        """`do` each of `things` in a few threads; what they answer, in order."""
        return list(self._threads.map(do, things))

    def close(self) -> None:
        """Wait for what is under way and let the threads go."""
        self._threads.shutdown()
        self._journal.close()

    def read(self, file: SpoolFile, origin: Origin) -> Header:
        """What the file says it is.

        Raises:
            InvalidInstance: the file is not an instance; the refusal is listed.
        """
        try:
            return read_header(file.path, file.digest, file.data)
        except InvalidInstance as error:
            self._index.note_refusal(str(error), origin, file.size)
            raise

    def store(self, file: SpoolFile, header: Header, origin: Origin, delivery: str | None) -> Accepted:
        """Store a closed file.

        Raises:
            DuplicateInstance: the SOP Instance UID is taken; the refusal is listed and its bytes are kept.
            StorageFull, StorageDown: nothing is promised; sending it again is safe.
        """
        known = self._known(header)
        if known is None:
            return self._store_new(file, header, origin, delivery, version=1)
        return self._meet(file, header, origin, delivery, known)

    def store_group(
        self, given: Sequence[tuple[SpoolFile, Header]], origin: Origin, delivery: str | None
    ) -> list[Accepted | StorageError]:
        """Store closed files that came together, in one transaction; what `store` would say of each.

        Folders and rows are flushed once for all of them.
        """

        def put(one: tuple[SpoolFile, Header]) -> Entry | Accepted | StorageError:
            file, header = one
            try:
                known = self._known(header)
                if known is not None:
                    return self._meet(file, header, origin, delivery, known)
                return self._entry(file, header, origin, delivery, version=1, named=False, settled=True)
            except StorageError as error:
                return error

        # A disk is asked by one thread: what several would win by waiting at once, they lose in fighting for
        # the interpreter. A bucket is far.
        begun = list(map(put, given)) if self._blobs.local else self.several_at_once(put, given)
        entries = [one for one in begun if isinstance(one, Entry)]
        added = iter(self._add_group(entries))

        def finished(file: SpoolFile, one: Entry | Accepted | StorageError) -> Accepted | StorageError:
            try:
                return self._finished(file, one, next(added)) if isinstance(one, Entry) else one
            except StorageError as error:
                return error

        return [finished(file, one) for (file, _), one in zip(given, begun, strict=True)]

    def _add_group(self, entries: Sequence[Entry]) -> Sequence[Result | Exception]:
        if not entries:
            return []
        try:
            self._blobs.settle()
            return self._index.add(entries)
        except StorageError as error:
            return [error] * len(entries)

    def _known(self, header: Header) -> StoredInstance | None:
        return None if self._is_new(header) else self._index.instance(header.key.sop)

    def _is_new(self, header: Header) -> bool:
        """Nothing is stored in its place; should it be known all the same, the index refuses the row."""
        return self._blobs.local and self._blobs.stat(Place(header.key).blob) is None

    def _meet(
        self, file: SpoolFile, header: Header, origin: Origin, delivery: str | None, known: StoredInstance
    ) -> Accepted:
        """The SOP Instance UID is stored already: the same again, a new version, or a conflict."""
        if known.key != header.key:
            where = f"study {known.key.study}, series {known.key.series}"
            raise self._refused(file, header, origin, f"SOPInstanceUID {known.key.sop} is stored in {where}")
        if (known.digest, known.transfer_syntax) == (header.digest, header.transfer_syntax):
            return Accepted(known, duplicate=True, warnings=header.warnings)
        if not self._replace:
            reason = f"SOPInstanceUID {known.key.sop} is already stored with other bytes, which are kept"
            raise self._refused(file, header, origin, reason)
        return self._store_new(file, header, origin, delivery, known.version + 1)

    def _store_new(
        self, file: SpoolFile, header: Header, origin: Origin, delivery: str | None, version: int
    ) -> Accepted:
        # A sealed file can make both again: it stays until they are durable too (see `storage.journal`).
        settled = not (file.sealed and self._blobs.local)
        entry = self._entry(file, header, origin, delivery, version, named=settled, settled=settled)
        return self._finished(file, entry, self._committer.commit(entry))

    def _entry(
        self,
        file: SpoolFile,
        header: Header,
        origin: Origin,
        delivery: str | None,
        version: int,
        *,
        named: bool,
        settled: bool,
    ) -> Entry:
        # Bytes before row: whoever finds the row can read the file. If we die or lose the database here,
        # the blob has no row, and the sweep takes it into the index.
        if not named and self._blobs.local:
            file.flush()
        instance = self._make_durable(file, header, version, settled=named)
        when_known: Literal["refuse", "replace"] = "replace" if self._replace else "refuse"
        return Entry(header, instance, origin, delivery, when_known, settled=settled)

    def _finished(self, file: SpoolFile, entry: Entry, result: Result | Exception) -> Accepted:
        """What became of an instance whose row was to be added."""
        header, instance, origin, delivery = entry.header, entry.instance, entry.origin, entry.delivery
        if isinstance(result, Added):
            if not entry.settled:
                self._journal.keep(file)
            return Accepted(instance, warnings=(*header.warnings, *result.warnings))
        if isinstance(result, Burnt):
            return self._store_new(file, header, origin, delivery, instance.version + 1)
        if isinstance(result, InvalidInstance):
            remove_orphan(self._blobs, self._index, instance.blob)
            self._index.note_refusal(str(result), origin, file.size)
        if isinstance(result, Exception):
            raise result
        # Another thread or process has stored this SOP Instance UID since we looked.
        try:
            return self._meet(file, header, origin, delivery, result.instance)
        finally:
            remove_orphan(self._blobs, self._index, instance.blob)

    def _make_durable(
        self, file: SpoolFile, header: Header, version: int, *, settled: bool
    ) -> StoredInstance:
        """Put the bytes under the first free version; a name that holds these very bytes is free too."""
        blob = Place(header.key, version).blob
        while not (
            self._blobs.put_if_absent(blob, file.path, settled=settled) or holds(self._blobs, blob, file.path)
        ):
            version += 1
            blob = Place(header.key, version).blob
        return header.stored_as(blob, version, datetime.now(UTC))

    def _refused(self, file: SpoolFile, header: Header, origin: Origin, reason: str) -> DuplicateInstance:
        blob = quarantined(header.key, header.digest)
        self._blobs.put_if_absent(blob, file.path)
        self._index.note_refusal(reason, origin, header.size, (blob, header))
        return DuplicateInstance(f"{reason}; this copy is in quarantine")


def holds(blobs: Blobs, blob: str, path: Path) -> bool:
    """The blob has these bytes: left by one who died before he wrote the row, or the same comes twice."""
    found = blobs.stat(blob)
    if found is None or found.size != path.stat().st_size:
        return False
    try:
        chunks = blobs.stream(blob)
        with disk_errors("read the spool"), path.open("rb") as mine:
            return all(chunk == mine.read(len(chunk)) for chunk in chunks)
    except UnknownInstance:
        return False
