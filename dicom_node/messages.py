"""DIMSE messages out of fragments (PS3.8 E.1): C-STORE ends here, every other message is passed on."""

from typing import Protocol

from dicom_node import command
from dicom_node.pdus import COMMAND, LAST, P_DATA_TF, Fragment, Malformed
from dicom_node.receiver import Receiver, StoreRequest
from dicom_node.status import CANNOT_UNDERSTAND, Answer

_PARTS = 512
"""Fragments written at once; the system takes at most 1024."""
_MAX_COMMAND = 1 << 16
_MAX_IDENTIFIER = 1 << 24
"""Bytes of a data set that is passed on, which keeps it in memory."""


class Association(Protocol):
    """What messages need of the association they come over."""

    def transfer_syntax(self, context_id: int) -> str | None:
        """Of an accepted presentation context; None for any other."""

    def send(self, pdu: bytes) -> None:
        """To the peer."""

    def answered(self, message_id: int, answer: Answer) -> None:
        """The peer answers a C-STORE of ours."""

    def pass_on(self, context_id: int, value: bytes) -> None:
        """A presentation data value with its control header. Raises `Malformed`."""


class Messages:
    """Takes the fragments of one association in order; each method raises `Malformed`."""

    def __init__(self, association: Association) -> None:
        self._association = association
        self.receiver: Receiver | None = None
        """Given before the association is accepted."""
        self.storing = False
        """An instance is complete, and its answer is not yet sent."""
        self._command = bytearray()
        self._parts: list[memoryview] = []
        self._context_id = 0
        """Of the message whose data set comes next; 0 when a command does."""
        self._request: StoreRequest | None = None
        self._identifier_left = 0

    def take(self, fragment: Fragment) -> None:
        """Handle a fragment; its data is written at the next `flush`."""
        if fragment.control & COMMAND:
            self._command_fragment(fragment)
        elif fragment.context_id != self._context_id:
            raise Malformed(f"a data set in context {fragment.context_id} without a command")
        elif self._request:
            self._parts.append(fragment.data)
            if fragment.control & LAST:
                self._end_store(self._request)
            elif len(self._parts) >= _PARTS:
                self.flush()
        else:
            self._identifier_fragment(fragment)

    def flush(self) -> None:
        """Write what was taken, before its memory is used again."""
        if self._parts:
            self._receiver().write(self._parts)
            self._parts.clear()

    def _command_fragment(self, fragment: Fragment) -> None:
        if self._context_id:
            raise Malformed("a command within a data set")
        self._command += fragment.data
        if len(self._command) > _MAX_COMMAND:
            raise Malformed(f"a command set of more than {_MAX_COMMAND} bytes")
        if fragment.control & LAST:
            encoded = bytes(self._command)
            self._command.clear()
            self._message(fragment.context_id, encoded)

    def _message(self, context_id: int, encoded: bytes) -> None:
        try:
            elements = command.decode(encoded)
        except ValueError as error:
            raise Malformed(str(error)) from error
        syntax = self._association.transfer_syntax(context_id)
        if syntax is None:
            raise Malformed(f"a message in context {context_id}, which was not accepted")
        has_data_set = command.number(elements, command.COMMAND_DATA_SET_TYPE) != command.NO_DATA_SET
        self._context_id = context_id if has_data_set else 0
        kind = command.number(elements, command.COMMAND_FIELD)
        if kind == command.C_STORE_RQ:
            self._begin_store(context_id, elements, syntax)
        elif kind == command.C_STORE_RSP and not has_data_set:
            self._answered(elements)
        else:
            self._identifier_left = _MAX_IDENTIFIER
            self._association.pass_on(context_id, bytes((COMMAND | LAST,)) + encoded)

    def _answered(self, elements: command.Command) -> None:
        """A sub-operation of ours; an answer without a status is none."""
        number = command.number(elements, command.MESSAGE_ID_BEING_RESPONDED_TO)
        status = command.number(elements, command.STATUS)
        if number is not None and status is not None:
            self._association.answered(number, Answer(status, command.text(elements, command.ERROR_COMMENT)))

    def _begin_store(self, context_id: int, elements: command.Command, syntax: str) -> None:
        request = StoreRequest(
            command.number(elements, command.MESSAGE_ID) or 0,
            command.text(elements, command.AFFECTED_SOP_CLASS_UID),
            command.text(elements, command.AFFECTED_SOP_INSTANCE_UID),
            syntax,
        )
        if not self._context_id:
            self._answer(context_id, request, Answer(CANNOT_UNDERSTAND, "no data set"))
            return
        self._receiver().begin(request)
        self._request = request

    def _end_store(self, request: StoreRequest) -> None:
        self.flush()
        self.storing = True
        try:
            self._answer(self._context_id, request, self._receiver().end())
        finally:
            self.storing = False
        self._request, self._context_id = None, 0

    def _receiver(self) -> Receiver:
        if self.receiver is None:
            raise Malformed(f"a PDU of type 0x{P_DATA_TF:02X} before the association was accepted")
        return self.receiver

    def _answer(self, context_id: int, request: StoreRequest, answer: Answer) -> None:
        encoded = command.c_store_rsp(request.message_id, request.sop_class, request.sop, answer)
        self._association.send(command.p_data_tf(context_id, COMMAND | LAST, encoded))

    def _identifier_fragment(self, fragment: Fragment) -> None:
        self._identifier_left -= len(fragment.data)
        if self._identifier_left < 0:
            raise Malformed(f"an identifier of more than {_MAX_IDENTIFIER} bytes")
        if fragment.control & LAST:
            self._context_id = 0
        self._association.pass_on(fragment.context_id, bytes((fragment.control,)) + fragment.data)
