"""A query or retrieval of a peer, and its responses."""

import time
from collections.abc import Iterable
from typing import Any

from dicom_node import command
from dicom_node.channel import Channel
from dicom_node.fragments import Buffer, repeated
from dicom_node.identifier import Attributes, Identifier, IdentifierWriter, read_identifier, write_identifier
from dicom_node.status import Answer

_AT_ONCE = 64
"""Answers that are sent at once."""
_HELD = 0.02
"""Seconds after which an answer waits for no others."""


class Request:
    """A request over one presentation context, and how it is answered."""

    def __init__(self, channel: Channel, primitive: Any, context_id: int, transfer_syntax: str) -> None:
        self.channel = channel
        self.message_id: int = primitive.MessageID
        self.sop_class = str(primitive.AffectedSOPClassUID)
        self.priority: int = primitive.Priority or 0
        self._data = primitive.Identifier
        self._context_id = context_id
        self._transfer_syntax = transfer_syntax

    @property
    def cancelled(self) -> bool:
        """The peer has had enough."""
        return self.channel.cancelled(self.message_id)

    def identifier(self) -> Identifier:
        """What is asked for. Raises `InvalidInstance`."""
        return read_identifier(self._data.getvalue() if self._data else b"", self._transfer_syntax)

    def respond_with(self, status: int, identifiers: Iterable[Attributes], charset: tuple[str, ...]) -> bool:
        """Send a pending C-FIND response for each identifier, several at once; False once it is cancelled.

        Raises:
            PeerGone: the peer takes no more.
        """
        rsp = command.query_rsp(
            command.C_FIND_RSP, self.message_id, self.sop_class, Answer(status), identifier=True
        )
        writer = IdentifierWriter(self._transfer_syntax, charset)
        message = repeated(self._context_id, rsp, self.channel.fragment_size())
        held: list[Buffer] = []
        began = time.monotonic()
        try:
            for each in identifiers:
                if self.cancelled:
                    return False
                held.append(message(writer.write(each)))
                if len(held) >= _AT_ONCE or time.monotonic() > began + _HELD:
                    self.channel.send_pdus([held])
                    held, began = [], time.monotonic()
        finally:
            self.channel.send_pdus([held])
        return True

    def respond(
        self,
        field: int,
        answer: Answer,
        identifier: dict[str, Any] | None = None,
        *,
        counts: command.Counts | None = None,
    ) -> None:
        """Send a response. Raises `PeerGone`."""
        told = identifier is not None
        rsp = command.query_rsp(
            field, self.message_id, self.sop_class, answer, identifier=told, counts=counts
        )
        data_set = [write_identifier(identifier, self._transfer_syntax)] if identifier else None
        self.channel.send(self._context_id, rsp, data_set=data_set)
