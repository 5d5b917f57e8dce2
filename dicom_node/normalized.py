"""Requests of DIMSE-N services (PS3.7 10) as an SCP: to the service that offers their SOP class, and back."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from pynetdicom.dimse_primitives import N_ACTION, N_CREATE, N_GET, N_SET

from dicom_node import command
from dicom_node.channel import Channel
from dicom_node.identifier import Attributes, Identifier, read_identifier, write_identifier
from dicom_node.status import (
    INVALID_ARGUMENT_VALUE,
    PROCESSING_FAILURE,
    RESOURCE_LIMITATION,
    SOP_CLASS_NOT_SUPPORTED,
    Answer,
)
from storage.errors import InvalidInstance, StorageDown, StorageError, StorageFull

log = logging.getLogger(__name__)

Operation = Literal["N-ACTION", "N-CREATE", "N-GET", "N-SET"]

_OPERATIONS: dict[type[Any], tuple[Operation, int, str]] = {
    N_ACTION: ("N-ACTION", command.N_ACTION_RSP, "ActionInformation"),
    N_CREATE: ("N-CREATE", command.N_CREATE_RSP, "AttributeList"),
    N_GET: ("N-GET", command.N_GET_RSP, ""),
    N_SET: ("N-SET", command.N_SET_RSP, "ModificationList"),
}


class Unsuccessful(Exception):
    """The request fails; the answer says how."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.reason)
        self.answer = answer


class NormalizedRequest:
    """A DIMSE-N request over one presentation context, and how it is answered."""

    def __init__(self, channel: Channel, primitive: Any, context_id: int, context: Any) -> None:
        self.operation, self._field, data = _OPERATIONS[type(primitive)]
        self.channel = channel
        created = isinstance(primitive, N_CREATE)
        self.sop_class = str(primitive.AffectedSOPClassUID if created else primitive.RequestedSOPClassUID)
        uid = primitive.AffectedSOPInstanceUID if created else primitive.RequestedSOPInstanceUID
        self.sop = str(uid or "")
        """SOP Instance UID; an N-CREATE may leave it to us."""
        self.action_type: int = getattr(primitive, "ActionTypeID", None) or 0
        """Of an N-ACTION."""
        self.abstract_syntax = str(context.abstract_syntax)
        self._message_id: int = primitive.MessageID
        self._asked = getattr(primitive, "AttributeIdentifierList", None) or ()
        self._data = getattr(primitive, data) if data else None
        self._context_id = context_id
        self._transfer_syntax = str(context.transfer_syntax[0])

    @property
    def asked(self) -> tuple[str, ...]:
        """Tags of an N-GET; none asks for all."""
        asked = self._asked if isinstance(self._asked, Sequence) else (self._asked,)
        return tuple(f"{int(tag):08X}" for tag in asked)

    def data_set(self) -> Identifier:
        """The data set of the request. Raises `InvalidInstance`."""
        return read_identifier(self._data.getvalue() if self._data else b"", self._transfer_syntax)

    def respond(
        self,
        answer: Answer,
        data_set: Attributes | None = None,
        *,
        sop: str = "",
        charset: tuple[str, ...] = (),
    ) -> None:
        """Send the response; `sop` is the UID of an instance that was created. Raises `PeerGone`."""
        written = write_identifier(data_set, self._transfer_syntax, charset) if data_set else b""
        rsp = command.normalized_rsp(
            self._field, self._message_id, self.sop_class, sop or self.sop, answer, data_set=bool(written)
        )
        self.channel.send(self._context_id, rsp, data_set=[written] if written else None)

    def report(self, event_type: int, information: Attributes) -> Answer:
        """N-EVENT-REPORT on this association, and the peer's answer. Raises `PeerGone`."""
        message_id = self.channel.next_message_id()
        request = command.n_event_report_rq(message_id, self.sop_class, self.sop, event_type)
        written = write_identifier(information, self._transfer_syntax)
        self.channel.send(self._context_id, request, data_set=[written])
        return self.channel.report_answer(message_id)


class NormalizedService(Protocol):
    """What is offered beyond storage, query and retrieval."""

    @property
    def sop_classes(self) -> Mapping[str, str]:
        """Names by UID; each is an abstract syntax that peers may propose."""

    def serve(self, request: NormalizedRequest) -> None:
        """Respond.

        Raises:
            Unsuccessful: with the answer.
            StorageError: the answer is a failure.
            PeerGone: there is nobody to answer.
        """


class NormalizedServices:
    """Serves the DIMSE-N requests of one association."""

    def __init__(self, services: Sequence[NormalizedService], channel: Channel) -> None:
        self._services = {uid: service for service in services for uid in service.sop_classes}
        self._channel = channel

    def takes(self, primitive: Any) -> bool:
        """It is a request that is served here."""
        return type(primitive) in _OPERATIONS and bool(primitive.is_valid_request)

    def serve(self, primitive: Any, context_id: int, context: Any) -> None:
        """Answer one request. Raises `PeerGone`."""
        request = NormalizedRequest(self._channel, primitive, context_id, context)
        try:
            self._service(request).serve(request)
        except (Unsuccessful, StorageError) as error:
            answer = error.answer if isinstance(error, Unsuccessful) else _failure(error)
            log.warning(
                "%s: %s refused with 0x%04X: %s",
                self._channel.peer,
                request.operation,
                answer.status,
                answer.reason,
            )
            request.respond(answer)

    def _service(self, request: NormalizedRequest) -> NormalizedService:
        service = self._services.get(request.abstract_syntax)
        if service is None or request.sop_class not in service.sop_classes:
            reason = f"{request.sop_class} has no {request.operation} here"
            raise Unsuccessful(Answer(SOP_CLASS_NOT_SUPPORTED, reason))
        return service


def _failure(error: StorageError) -> Answer:
    if isinstance(error, InvalidInstance):
        return Answer(INVALID_ARGUMENT_VALUE, str(error))
    status = RESOURCE_LIMITATION if isinstance(error, StorageDown | StorageFull) else PROCESSING_FAILURE
    return Answer(status, str(error))
