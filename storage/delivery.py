"""What one sender brings in one go: an association, a STOW request, an import, a result."""

import logging
import uuid
from collections.abc import Iterable
from typing import Self

from storage.errors import StorageError
from storage.header import Header
from storage.ingest import Ingest
from storage.instances import Accepted, Origin, Outcome, Refused
from storage.spool import SpoolFile
from storage.sql.index import SqlIndex

_log = logging.getLogger(__name__)


class Delivery:
    """A context manager; leaving it writes one `delivery.ended` event for each series it touched.

    A delivery that was broken off has no end: whoever waits for all of a series waits for a quiet time.
    Instances may come from several threads.
    """

    def __init__(self, ingest: Ingest, index: SqlIndex, origin: Origin) -> None:
        self.id = uuid.uuid4().hex
        self._ingest = ingest
        self._index = index
        self._origin = origin
        self._touched: dict[tuple[str, str], None] = {}

    def ingest(self, file: SpoolFile) -> Accepted:
        """Store a file; when this returns, it is on stable storage and in the index. The file is consumed.

        Raises:
            InvalidInstance: the file is not an instance.
            DuplicateInstance: its SOP Instance UID is taken.
            StorageFull, StorageDown: nothing is promised; sending it again is safe.
        """
        with file:
            file.close()
            return self._store(file, self._ingest.read(file, self._origin))

    def ingest_many(self, files: Iterable[SpoolFile]) -> list[Outcome]:
        """Store files, several at a time; one outcome for each, in order."""
        return self._ingest.several_at_once(self._outcome, files)

    def break_off(self) -> None:
        """The sender is gone, perhaps in the middle of a series; what was accepted stays accepted."""
        self._touched.clear()

    def _outcome(self, file: SpoolFile) -> Outcome:
        header = None
        with file:
            try:
                file.close()
                header = self._ingest.read(file, self._origin)
                return self._store(file, header)
            except StorageError as error:
                return Refused(error, header.sop_class, header.key.sop) if header else Refused(error)

    def _store(self, file: SpoolFile, header: Header) -> Accepted:
        accepted = self._ingest.store(file, header, self._origin, self.id)
        self._touched[header.key.study, header.key.series] = None
        return accepted

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._touched:
            return
        try:
            self._index.end_delivery(self.id, self._origin, list(self._touched))
        except StorageError as error:
            # What was accepted stays accepted; whoever waits for this event also waits for a quiet time.
            _log.warning("the end of delivery %s was not written: %s", self.id, error)
