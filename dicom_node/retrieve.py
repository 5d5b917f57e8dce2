"""C-GET (PS3.4 C.4.3) and C-MOVE (PS3.4 C.4.2): the instances that were asked for, one sub-operation each."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Self

from dicom_node import command
from dicom_node.channel import Channel, PeerGone
from dicom_node.command import Originator
from dicom_node.contexts import QueryClass
from dicom_node.destinations import Destinations
from dicom_node.find import WrongLevel, level_of
from dicom_node.fragments import Buffer
from dicom_node.identifier import Attributes
from dicom_node.outgoing import Destination, Line
from dicom_node.peers import Peer
from dicom_node.request import Request
from dicom_node.requestor import AssociationFailed, Proposal, Requestor
from dicom_node.status import (
    CANCELLED,
    CANNOT_UNDERSTAND,
    DATA_SET_DOES_NOT_MATCH,
    MOVE_DESTINATION_UNKNOWN,
    PENDING,
    PROCESSING_FAILURE,
    RETRIEVE_FAILURES,
    SUBOPERATIONS_WITH_FAILURES,
    SUCCESS,
    UNABLE_TO_PERFORM_SUBOPERATIONS,
    Answer,
)
from dicom_node.suboperations import Tally, associations, select
from storage.archive import Archive
from storage.errors import StorageError
from storage.instances import StoredInstance
from storage.spool import Spool

log = logging.getLogger(__name__)

_TOLD_EVERY = 0.25
"""Seconds between pending responses, which are optional (PS3.4 C.4.2.3.1, C.4.3.3.1)."""
_FAILED_SOP_INSTANCE_UID_LIST = "00080058"


@dataclass(frozen=True, slots=True)
class _Group:
    """Instances for one association, and how to come by it."""

    instances: Sequence[StoredInstance]
    open: Callable[[], AbstractContextManager[Destination]]


class _SameAssociation:
    """The peer that asks is the one that stores (C-GET)."""

    def __init__(self, request: Request) -> None:
        self._channel = request.channel
        self._priority = request.priority
        self._accepted = {
            (str(context.abstract_syntax), str(context.transfer_syntax[0])): context.context_id
            for context in request.channel.contexts()
            if context.as_scu
        }

    def accepts(self, proposal: Proposal) -> bool:
        return proposal in self._accepted

    def store(self, proposal: Proposal, sop: str, dataset: Iterable[Buffer]) -> Callable[[], Answer]:
        message_id = self._channel.next_message_id()
        store_rq = command.c_store_rq(message_id, proposal[0], sop, priority=self._priority)
        try:
            self._channel.send(self._accepted[proposal], store_rq, data_set=dataset)
        except StorageError as error:
            raise PeerGone(f"instance {sop} breaks off: {error}") from error
        return partial(self._channel.store_answer, message_id)


@contextmanager
def _same_association(request: Request) -> Iterator[_SameAssociation]:
    with request.channel.reading():
        yield _SameAssociation(request)


class _Peer:
    """An association with the destination of a C-MOVE."""

    def __init__(self, association: Requestor, originator: Originator, priority: int) -> None:
        self._association = association
        self._originator = originator
        self._priority = priority

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._association.__exit__(kind, *rest)

    def accepts(self, proposal: Proposal) -> bool:
        return self._association.accepts(proposal)

    def store(self, proposal: Proposal, sop: str, dataset: Iterable[Buffer]) -> Callable[[], Answer]:
        try:
            return self._association.begin_store(
                proposal, sop, dataset, originator=self._originator, priority=self._priority
            )
        except StorageError as error:
            raise AssociationFailed(f"instance {sop} breaks off: {error}") from error


class Retrieval:
    """Serves the C-GET and C-MOVE requests of one association."""

    def __init__(
        self,
        archive: Archive,
        spool: Spool,
        channel: Channel,
        destinations: Destinations,
        *,
        rejected: bool = False,
    ) -> None:
        """Take what is needed.

        Args:
            archive: what is retrieved from.
            spool: where converted instances wait until they are whole.
            channel: the association.
            destinations: of C-MOVE.
            rejected: the peer gets what rejection notes take out of use, too.
        """
        self._rejected = rejected
        self._archive = archive
        self._spool = spool
        self._channel = channel
        self._destinations = destinations

    def get(self, request: Request, model: QueryClass) -> None:
        """Serve a C-GET. Raises `PeerGone`."""

        def grouped(instances: Sequence[StoredInstance]) -> list[_Group]:
            return [_Group(instances, partial(_same_association, request))]

        self._serve(request, model, command.C_GET_RSP, grouped)

    def move(self, request: Request, model: QueryClass, destination: str) -> None:
        """Serve a C-MOVE to the peer with this AE title. Raises `PeerGone`."""
        peer = self._destinations.named(destination)
        if peer is None:
            answer = Answer(MOVE_DESTINATION_UNKNOWN, f"move destination {destination!r} is not known")
            self._refuse(request, command.C_MOVE_RSP, answer)
            return
        self._serve(request, model, command.C_MOVE_RSP, partial(self._associations, request, peer))

    def _associations(
        self, request: Request, peer: Peer, instances: Sequence[StoredInstance]
    ) -> list[_Group]:
        originator = Originator(self._channel.peer, request.message_id)

        def opened(proposals: Sequence[Proposal]) -> _Peer:
            association = self._destinations.connect(peer, proposals, self._channel.timeout)
            return _Peer(association, originator, request.priority)

        return [
            _Group(some, partial(opened, proposals))
            for proposals, some in associations(instances, peer.transfer_syntaxes)
        ]

    def _serve(
        self,
        request: Request,
        model: QueryClass,
        field: int,
        grouped: Callable[[Sequence[StoredInstance]], list[_Group]],
    ) -> None:
        try:
            identifier = request.identifier()
            instances = select(
                self._archive, level_of(model, identifier), identifier, rejected=self._rejected
            )
        except WrongLevel as error:
            self._refuse(request, field, Answer(DATA_SET_DOES_NOT_MATCH, str(error)))
        except StorageError as error:
            self._refuse(request, field, Answer(RETRIEVE_FAILURES[type(error)], str(error)))
        except Exception:
            log.exception("%s of %s", model.name, self._channel.peer)
            self._refuse(request, field, Answer(CANNOT_UNDERSTAND, "internal error"))
        else:
            tally = Tally(len(instances))
            answer = self._perform(request, field, grouped(instances), tally)
            self._finish(request, field, answer, tally)

    def _refuse(self, request: Request, field: int, answer: Answer) -> None:
        log.warning("%s: retrieval refused with 0x%04X: %s", self._channel.peer, answer.status, answer.reason)
        request.respond(field, answer)

    def _perform(self, request: Request, field: int, groups: Sequence[_Group], tally: Tally) -> Answer:
        """All sub-operations; what the last response says."""
        trouble = ""
        for group in groups:
            waiting = deque(group.instances)
            while waiting:
                before = len(waiting)
                try:
                    with group.open() as destination:
                        if not self._store_all(request, field, destination, waiting, tally):
                            return Answer(CANCELLED)
                except AssociationFailed as error:
                    trouble = str(error)
                    log.warning("%s: sub-operations break off: %s", self._channel.peer, error)
                    if before == len(waiting):  # not even one could be tried
                        for instance in waiting:
                            tally.count(instance.key.sop, Answer(PROCESSING_FAILURE))
                        break
        return _last(tally, trouble)

    def _store_all(
        self,
        request: Request,
        field: int,
        destination: Destination,
        waiting: deque[StoredInstance],
        tally: Tally,
    ) -> bool:
        """Sub-operations until none waits; False when they were cancelled."""
        told = 0.0
        with Line(self._archive, self._spool, waiting, destination) as line:
            while waiting:
                if request.cancelled:
                    return False
                self._store(line, tally)
                if tally.remaining and time.monotonic() > told + _TOLD_EVERY:
                    request.respond(field, Answer(PENDING), counts=tally.counts(pending=True))
                    told = time.monotonic()
        return True

    def _store(self, line: Line, tally: Tally) -> None:
        instance, outgoing = line.take()
        answer = Answer(PROCESSING_FAILURE)
        try:
            with outgoing:
                answered = outgoing.send()
                line.read_ahead()  # while the peer stores this one
                answer = answered()
        finally:
            tally.count(instance.key.sop, answer)
        if answer.status != SUCCESS:
            peer, sop = self._channel.peer, instance.key.sop
            log.warning("%s: %s sent with 0x%04X: %s", peer, sop, answer.status, answer.reason)

    def _finish(self, request: Request, field: int, answer: Answer, tally: Tally) -> None:
        log.info(
            "%s: retrieval ends with 0x%04X: %d sent, %d with warnings, %d failed, %d not tried",
            self._channel.peer,
            answer.status,
            tally.completed,
            tally.warning,
            len(tally.failed),
            tally.remaining,
        )
        counts = tally.counts(pending=answer.status == CANCELLED)
        request.respond(field, answer, None if answer.status == SUCCESS else _failed(tally), counts=counts)


def _last(tally: Tally, trouble: str) -> Answer:
    if not tally.failed and not tally.warning:
        return Answer(SUCCESS)
    if tally.completed or tally.warning:
        return Answer(SUBOPERATIONS_WITH_FAILURES, trouble)
    return Answer(UNABLE_TO_PERFORM_SUBOPERATIONS, trouble or "all sub-operations failed")


def _failed(tally: Tally) -> Attributes:
    """Failed SOP Instance UID List (PS3.4 C.4.2.1.4.2, C.4.3.1.3.2)."""
    return {_FAILED_SOP_INSTANCE_UID_LIST: {"vr": "UI", "Value": list(tally.failed)}}
