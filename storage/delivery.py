"""What one sender brings in one go: an association, a STOW request, an import, a result."""

import logging
import uuid
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from itertools import islice
from typing import Self

from storage.errors import StorageError
from storage.header import Header
from storage.ingest import Ingest
from storage.instances import Accepted, Origin, Outcome, Refused
from storage.spool import SpoolFile
from storage.sql.index import SqlIndex

_log = logging.getLogger(__name__)

_GROUP = 64
"""Files that are stored together: their headers are held in memory."""


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
            return self._store(file, self._ingest.read(file, self._origin))

    def ingest_many(self, files: Iterable[SpoolFile]) -> list[Outcome]:
        """Store files, some at a time with one wait for the index; one outcome for each, in order."""
        remaining = iter(files)
        outcomes: list[Outcome] = []
        while group := list(islice(remaining, _GROUP)):
            with ExitStack() as stack:
                for file in group:
                    stack.enter_context(file)
                outcomes += self._outcomes(group)
        return outcomes

    def break_off(self) -> None:
        """The sender is gone, perhaps in the middle of a series; what was accepted stays accepted."""
        self._touched.clear()

    def _outcomes(self, group: Sequence[SpoolFile]) -> list[Outcome]:
        headers = [self._read(file) for file in group]
        pairs = zip(group, headers, strict=True)
        whole = [(file, header) for file, header in pairs if isinstance(header, Header)]
        stored = iter(self._ingest.store_group(whole, self._origin, self.id))
        return [self._outcome(one, next(stored)) if isinstance(one, Header) else one for one in headers]

    def _read(self, file: SpoolFile) -> Header | Refused:
        try:
            file.close()
            return self._ingest.read(file, self._origin)
        except StorageError as error:
            return Refused(error)

    def _outcome(self, header: Header, stored: Accepted | StorageError) -> Outcome:
        if isinstance(stored, StorageError):
            return Refused(stored, header.sop_class, header.key.sop)
        self._touched[header.key.study, header.key.series] = None
        return stored

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
