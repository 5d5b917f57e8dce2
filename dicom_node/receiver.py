"""What one association stores: from the first fragment of a data set to the answer."""

import logging
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dicom_node.part10 import file_head
from dicom_node.peek import HEAD, sop_uids
from dicom_node.status import (
    DATA_SET_DOES_NOT_MATCH,
    PROCESSING_FAILURE,
    STORED_ALTHOUGH_NOT_MATCHING,
    SUCCESS,
    Answer,
    answer_to,
)
from storage.archive import Archive
from storage.errors import InvalidInstance, StorageError
from storage.header import read_header
from storage.instances import Origin, StoredInstance, checked_uid
from storage.non_patient import SOP_CLASSES as NON_PATIENT
from storage.spool import Spool, SpoolFile

if TYPE_CHECKING:
    from storage.delivery import Delivery

log = logging.getLogger(__name__)

RELEASED = "released"


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """A C-STORE request (PS3.7 9.3.1.1) and the transfer syntax of its presentation context."""

    message_id: int
    sop_class: str
    sop: str
    transfer_syntax: str


class _Incoming:
    """One instance on its way in; after an error the rest of its data set is let through unread."""

    def __init__(self, request: StoreRequest, spool: Spool, calling: str, called: str) -> None:
        self.request = request
        self.head = bytearray()
        self.size = 0
        self._file: SpoolFile | StorageError
        try:
            sop_class = checked_uid(request.sop_class, "Affected SOP Class UID")
            sop = checked_uid(request.sop, "Affected SOP Instance UID")
            self._file = spool.begin(file_head(sop_class, sop, request.transfer_syntax, calling, called))
        except StorageError as error:
            self._file = error

    def write(self, parts: Sequence[memoryview]) -> None:
        self.size += sum(map(len, parts))
        for part in parts:
            self.head += part[: HEAD - len(self.head)]
        if isinstance(self._file, SpoolFile):
            try:
                self._file.write_all(parts)
            except StorageError as error:
                self._file.discard()
                self._file = error

    def whole(self) -> SpoolFile:
        """The file with all of the data set, sealed. Raises what `StorageError` prevented it."""
        if isinstance(self._file, StorageError):
            raise self._file
        self._file.seal()
        return self._file

    def discard(self) -> None:
        if isinstance(self._file, SpoolFile):
            self._file.discard()


class Receiver:
    """Stores the instances of one association, one after the other.

    `begin`, then `write` for each fragment, then `end`, which answers; `close` when the association ends.
    What goes wrong with an instance is its answer; nothing is raised.
    """

    def __init__(self, archive: Archive, spool: Spool, origin: Origin, called: str) -> None:
        self._archive = archive
        self._spool = spool
        self._origin = origin
        self._called = called
        self._open = ExitStack()
        self._delivery: Delivery | None = None
        self._incoming: _Incoming | None = None
        self._began = self._heard = time.monotonic()
        self._stored = self._refused = self._bytes = 0

    @property
    def silent_for(self) -> float:
        """Seconds since the peer sent something to be stored, or was answered."""
        return time.monotonic() - self._heard

    def begin(self, request: StoreRequest) -> None:
        """Start an instance; one that was not ended is dropped."""
        self._drop()
        self._incoming = _Incoming(request, self._spool, self._origin.peer, self._called)

    def write(self, parts: Sequence[memoryview]) -> None:
        """Append fragments of the data set, at most 1000; they may be overwritten afterwards."""
        self._heard = time.monotonic()
        if self._incoming:
            self._incoming.write(parts)

    def end(self) -> Answer:
        """Store the instance; when the answer says so, it is on stable storage and in the index."""
        incoming = self._incoming
        if incoming is None:
            return Answer(PROCESSING_FAILURE, "no instance was begun")
        try:
            answer = self._store(incoming)
        except StorageError as error:
            answer = answer_to(error)
        except Exception:
            log.exception("storing %s from %s", incoming.request.sop, self._origin.peer)
            answer = Answer(PROCESSING_FAILURE, "internal error")
        self._heard = time.monotonic()
        self._drop()
        self._count(incoming, answer)
        return answer

    def _store(self, incoming: _Incoming) -> Answer:
        request = incoming.request
        file = incoming.whole()
        sop = _sop(incoming.head, request.transfer_syntax, file.path)
        if sop and sop != request.sop:
            return Answer(DATA_SET_DOES_NOT_MATCH, f"data set is of instance {sop[:64]}, not as requested")
        if request.sop_class in NON_PATIENT:
            self._archive.non_patient.store(file, self._origin)
            return Answer(SUCCESS)
        if self._delivery is None:
            self._delivery = self._open.enter_context(self._archive.delivery(self._origin))
        return _answer(request, self._delivery.ingest(file).instance)

    def _count(self, incoming: _Incoming, answer: Answer) -> None:
        self._bytes += incoming.size
        if answer.stored:
            self._stored += 1
            return
        self._refused += 1
        log.warning(
            "%s: %s refused with 0x%04X: %s",
            self._origin.peer,
            incoming.request.sop,
            answer.status,
            answer.reason,
        )

    def _drop(self) -> None:
        if self._incoming:
            self._incoming.discard()
            self._incoming = None

    def close(self, how: str) -> None:
        """End the delivery and log one line; what was not ended is dropped."""
        unfinished = ", one unfinished instance dropped" if self._incoming else ""
        self._drop()
        if self._delivery and how != RELEASED:
            self._delivery.break_off()
        self._open.close()
        log.info(
            "association %s: %s at %s to %s: %d stored, %d refused, %.1f MB in %.1f s%s",
            how,
            self._origin.peer,
            self._origin.address,
            self._called,
            self._stored,
            self._refused,
            self._bytes / 1e6,
            time.monotonic() - self._began,
            unfinished,
        )


def _sop(head: bytearray, transfer_syntax: str, path: Path) -> str:
    """SOP Instance UID of the data set; empty when the archive will not find one either."""
    _, sop = sop_uids(bytes(head), transfer_syntax)
    if not sop:
        # Most likely the archive refuses it; if not, we want to know before it is stored.
        with suppress(InvalidInstance):
            return read_header(path).key.sop
    return sop


def _answer(request: StoreRequest, instance: StoredInstance) -> Answer:
    if instance.sop_class != request.sop_class:
        return Answer(STORED_ALTHOUGH_NOT_MATCHING, f"SOP class is {instance.sop_class}")
    return Answer(SUCCESS)
