"""An association that we open: negotiate, send requests and read their answers, release (PS3.8)."""

import socket
import ssl
import struct
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from itertools import chain
from typing import Self

from pydicom.uid import UID
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
)
from pynetdicom.presentation import build_context, build_role

from dicom_node import command
from dicom_node.command import Originator
from dicom_node.fragments import Buffer, Pdu, batches, command_pdus, data_set_pdus, fragment_size, send_all
from dicom_node.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicom_node.status import Answer
from dicom_node.subject import Subject
from dicom_node.subject import of as subject_of

MAX_CONTEXTS = 128
"""Context IDs are the odd numbers up to 255 (PS3.8 9.3.2.2)."""
Proposal = tuple[str, str]
"""Abstract syntax, and the one transfer syntax proposed for it."""

_ASSOCIATE_AC, _ASSOCIATE_RJ, _P_DATA, _RELEASE_RQ, _RELEASE_RP, _ABORT = 2, 3, 4, 5, 6, 7
_APPLICATION_CONTEXT = UID("1.2.840.10008.3.1.1.1")
_ACCEPTED = 0
_OUR_MAX_PDU = 1 << 17
_LAST = 2
_MAX_ANSWER = 1 << 20
_MOST_READ = 1 << 16


class AssociationFailed(Exception):
    """There was no association, or it broke; the message says why."""


class Requestor:
    """An association with one peer; a context manager that releases it."""

    def __init__(
        self,
        address: tuple[str, int],
        called_aet: str,
        calling_aet: str,
        proposals: Sequence[Proposal],
        *,
        as_scp: Collection[str] = (),
        tls: ssl.SSLContext | None = None,
        subject: Subject | None = None,
        timeout: float = 60,
    ) -> None:
        """Connect and negotiate.

        Args:
            address: host and port of the peer.
            called_aet: its AE title.
            calling_aet: ours.
            proposals: at most `MAX_CONTEXTS`.
            as_scp: SOP classes among them that we provide, and the peer uses (PS3.7 D.3.3.4).
            tls: speak TLS.
            subject: what the subject of the peer's certificate must have.
            timeout: seconds to wait for each piece of an answer.

        Raises:
            AssociationFailed: nobody answers there, or the peer does not want us.
        """
        self._message_id = 0
        self._come = bytearray()
        try:
            self._socket = socket.create_connection(address, timeout)
        except OSError as error:
            raise AssociationFailed(f"cannot connect to {address[0]}:{address[1]}: {error}") from error
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls:
                self._socket = tls.wrap_socket(self._socket, server_hostname=address[0])
            _check_subject(self._socket, subject)
            self._accepted = self._negotiate(_request(called_aet, calling_aet, proposals, as_scp))
        except BaseException as error:
            self._socket.close()
            if isinstance(error, AssociationFailed) or not isinstance(error, Exception):
                raise
            # Also whatever pynetdicom makes of an answer that is none.
            raise AssociationFailed(f"no association: {type(error).__name__}: {error}") from error

    def accepts(self, proposal: Proposal) -> bool:
        """The peer has accepted the proposal."""
        return proposal in self._accepted

    def store(
        self,
        proposal: Proposal,
        sop: str,
        dataset: Iterable[Buffer],
        *,
        originator: Originator | None = None,
        priority: int = command.MEDIUM,
    ) -> Answer:
        """C-STORE of a data set that comes in chunks.

        Args:
            proposal: SOP class, and the transfer syntax of the chunks; accepted by the peer.
            sop: SOP Instance UID.
            dataset: what it raises ends the association, because the peer waits for the rest.
            originator: of the C-MOVE that this is a part of.
            priority: of the request (PS3.7 9.3.1.1).

        Raises:
            AssociationFailed: it is not known whether the instance was stored.
        """
        return self.begin_store(proposal, sop, dataset, originator=originator, priority=priority)()

    def begin_store(
        self,
        proposal: Proposal,
        sop: str,
        dataset: Iterable[Buffer],
        *,
        originator: Originator | None = None,
        priority: int = command.MEDIUM,
    ) -> Callable[[], Answer]:
        """As `store`, but the answer is waited for by what is returned, before anything else is sent."""
        request = command.c_store_rq(self._next_id(), proposal[0], sop, originator, priority)
        self._send_message(self._accepted[proposal], request, dataset)
        return self._answer

    def echo(self, proposal: Proposal) -> Answer:
        """C-ECHO. Raises `AssociationFailed`."""
        return self._ask(self._accepted[proposal], command.c_echo_rq(self._next_id()), None)

    def event_report(
        self, proposal: Proposal, sop: str, event_type: int, information: bytes, *, sop_class: str = ""
    ) -> Answer:
        """N-EVENT-REPORT (PS3.7 10.1.1).

        Args:
            proposal: SOP class, and the transfer syntax of the information; accepted by the peer.
            sop: SOP Instance UID.
            event_type: Event Type ID.
            information: the Event Information.
            sop_class: of the instance, where it is not that of the proposal.

        Raises:
            AssociationFailed: it is not known whether the peer has heard it.
        """
        request = command.n_event_report_rq(self._next_id(), sop_class or proposal[0], sop, event_type)
        return self._ask(self._accepted[proposal], request, [information])

    def create(self, proposal: Proposal, sop: str, attributes: bytes) -> Answer:
        """N-CREATE (PS3.7 10.1.5) of the instance `sop`; arguments as of `store`.

        Raises:
            AssociationFailed: it is not known whether it was created.
        """
        request = command.n_create_rq(self._next_id(), proposal[0], sop)
        return self._ask(self._accepted[proposal], request, [attributes])

    def release(self) -> None:
        """Take leave of the peer (PS3.8 9.3.6) and close the connection."""
        with self._socket, suppress(OSError, AssociationFailed):
            self._socket.sendall(struct.pack(">BxIxxxx", _RELEASE_RQ, 4))
            while self._read_pdu()[0] != _RELEASE_RP:
                pass

    def abort(self) -> None:
        """Leave at once (PS3.8 9.3.8)."""
        with self._socket, suppress(OSError):
            self._socket.sendall(struct.pack(">BxIxxxx", _ABORT, 4))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.release()
        else:
            self.abort()

    def _next_id(self) -> int:
        self._message_id = self._message_id % 0xFFFF + 1
        return self._message_id

    def _negotiate(self, request: A_ASSOCIATE) -> dict[Proposal, int]:
        self._socket.sendall(A_ASSOCIATE_RQ(request).encode())
        kind, body = self._read_pdu()
        whole = struct.pack(">BxI", kind, len(body)) + body
        if kind == _ASSOCIATE_RJ:
            rejected = A_ASSOCIATE_RJ()
            rejected.decode(whole)
            raise AssociationFailed(f"rejected by the peer: {rejected.reason_str} ({rejected.result_str})")
        if kind != _ASSOCIATE_AC:
            raise AssociationFailed(f"the peer answers the request with a PDU of type {kind}")
        accepted = A_ASSOCIATE_AC()
        accepted.decode(whole)
        self._fragment = fragment_size(accepted.user_information.maximum_length or 0)
        results = {item.presentation_context_id: item.result for item in accepted.presentation_context}
        return {
            (str(context.abstract_syntax), str(context.transfer_syntax[0])): context.context_id
            for context in request.presentation_context_definition_list
            if results.get(context.context_id) == _ACCEPTED
        }

    def _ask(self, context: int, request: bytes, dataset: Iterable[Buffer] | None) -> Answer:
        self._send_message(context, request, dataset)
        return self._answer()

    def _send_message(self, context: int, request: bytes, dataset: Iterable[Buffer] | None) -> None:
        pdus = command_pdus(context, request, self._fragment)
        if dataset is not None:
            pdus = chain(pdus, data_set_pdus(context, dataset, self._fragment))
        try:
            self._send(pdus)
        except OSError as error:
            raise AssociationFailed(f"{type(error).__name__}: {error}") from error

    def _send(self, pdus: Iterable[Pdu]) -> None:
        for batch in batches(pdus):
            send_all(self._socket, batch)

    def _answer(self) -> Answer:
        try:
            return self._read_answer()
        except OSError as error:
            raise AssociationFailed(f"{type(error).__name__}: {error}") from error

    def _read_answer(self) -> Answer:
        encoded = bytearray()
        answer: tuple[Answer, bool] | None = None
        while True:
            kind, body = self._read_pdu()
            if kind == _ABORT:
                raise AssociationFailed("the peer aborted the association")
            if kind != _P_DATA:
                raise AssociationFailed(f"the peer sent a PDU of type {kind} in place of an answer")
            for control, fragment in _fragments(body):
                if not answer:
                    encoded += fragment
                if control & _LAST:
                    # A data set may follow, as in an N-EVENT-REPORT response; nothing in it concerns us.
                    before, answer = answer, answer or _decoded(bytes(encoded))
                    if before or not answer[1]:
                        return answer[0]

    def _read_pdu(self) -> tuple[int, bytes]:
        kind, length = struct.unpack(">BxI", self._read(6))
        if length > _MAX_ANSWER:
            raise AssociationFailed(f"the peer sends a PDU of {length} bytes")
        return kind, self._read(length)

    def _read(self, length: int) -> bytes:
        while len(self._come) < length:
            piece = self._socket.recv(_MOST_READ)
            if not piece:
                raise AssociationFailed("the peer closed the connection")
            self._come += piece
        data = bytes(self._come[:length])
        del self._come[:length]
        return data


def _check_subject(connection: socket.socket, wanted: Subject | None) -> None:
    if wanted and not wanted <= subject_of(connection):
        raise AssociationFailed("the peer's certificate is of somebody else")


def _request(
    called_aet: str, calling_aet: str, proposals: Sequence[Proposal], as_scp: Collection[str]
) -> A_ASSOCIATE:
    contexts = []
    for index, (abstract_syntax, transfer_syntax) in enumerate(proposals):
        context = build_context(abstract_syntax, [transfer_syntax])
        context.context_id = 2 * index + 1
        contexts.append(context)
    length, class_uid, version = (
        MaximumLengthNotification(),
        ImplementationClassUIDNotification(),
        ImplementationVersionNameNotification(),
    )
    length.maximum_length_received = _OUR_MAX_PDU
    class_uid.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
    version.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    request = A_ASSOCIATE()
    request.application_context_name = _APPLICATION_CONTEXT
    request.calling_ae_title = calling_aet
    request.called_ae_title = called_aet
    request.presentation_context_definition_list = contexts
    roles = [build_role(uid, scp_role=True) for uid in as_scp]
    request.user_information = [length, class_uid, version, *roles]
    return request


def _fragments(body: bytes) -> Iterable[tuple[int, bytes]]:
    at = 0
    while at < len(body):
        (length,) = struct.unpack_from(">I", body, at)
        end = at + 4 + length
        if length < 2 or end > len(body):  # noqa: PLR2004 - context ID and control header
            raise AssociationFailed("the peer sends a malformed P-DATA-TF")
        yield body[at + 5], body[at + 6 : end]
        at = end


def _decoded(answer: bytes) -> tuple[Answer, bool]:
    """The answer, and whether a data set follows."""
    try:
        elements = command.decode(answer)
    except ValueError as error:
        raise AssociationFailed(f"the peer's answer is malformed: {error}") from error
    status = command.number(elements, command.STATUS)
    if status is None:
        raise AssociationFailed("the peer's answer has no status")
    reason = command.text(elements, command.ERROR_COMMENT)
    follows = command.number(elements, command.COMMAND_DATA_SET_TYPE) not in {None, command.NO_DATA_SET}
    return Answer(status, reason), follows
