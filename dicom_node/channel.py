"""The association as a service sees it: whole messages out, C-CANCEL and answers of sub-operations in."""

import threading
import time
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from pynetdicom.dimse_primitives import C_STORE

from dicom_node.fragments import command_pdus, data_set_pdus, fragment_size
from dicom_node.status import Answer

_BATCH = 1 << 18
"""Bytes that are sent at once where messages are small."""
_TICK = 1.0


class PeerGone(Exception):
    """The association ended while something was being served; the message says how."""


class Channel:
    """Sends on an association from its own thread, beside the thread that reads.

    This leans on names of pynetdicom that `tests/dicom_node/test_receive.py` keeps a list of.
    """

    def __init__(self, assoc: Any, timeout: float) -> None:
        """Take over the sending.

        Args:
            assoc: an association as acceptor, before it is accepted.
            timeout: seconds to wait for the answer to a sub-operation.
        """
        self._assoc = assoc
        self._timeout = timeout
        self._lock = threading.Lock()
        self._unlocked = assoc.dul.socket.send
        # What the reading thread sends (aborts, answers to C-STORE) must not end up within our PDUs.
        assoc.dul.socket.send = self._send_locked
        self.busy = False
        """Something is being served."""

    @property
    def timeout(self) -> float:
        """Seconds that a peer may be silent."""
        return self._timeout

    @property
    def peer(self) -> str:
        """AE title of the peer."""
        return str(self._assoc.requestor.primitive.calling_ae_title).strip()

    def contexts(self) -> list[Any]:
        """The accepted presentation contexts."""
        return list(self._assoc.accepted_contexts)

    def extended_negotiation(self) -> dict[str, bytes]:
        """Service class application information the peer sent, by SOP class (PS3.7 D.3.3.5)."""
        return {str(uid): info for uid, info in self._assoc.requestor.sop_class_extended.items()}

    def send(self, context_id: int, *commands: bytes, data_set: Iterable[bytes] | None = None) -> None:
        """Command sets, and the data set that belongs to the last of them. Raises `PeerGone`."""
        size = fragment_size(self._assoc.requestor.maximum_length)
        pieces: Iterator[bytes] = chain.from_iterable(
            command_pdus(context_id, each, size) for each in commands
        )
        if data_set is not None:
            pieces = chain(pieces, data_set_pdus(context_id, data_set, size))
        for batch in _batches(pieces):
            self._write(batch)

    def _write(self, data: bytes) -> None:
        if self.has_ended():
            raise PeerGone("the association has ended")
        connection = self._assoc.dul.socket.socket
        if connection is None:
            raise PeerGone("the connection is closed")
        try:
            with self._lock:
                connection.sendall(data)
        except (OSError, ValueError) as error:
            raise PeerGone(f"the peer does not take what it asked for: {error}") from error
        self._assoc.dul._idle_timer.restart()  # noqa: SLF001

    def _send_locked(self, data: bytes) -> None:
        with self._lock:
            self._unlocked(data)

    def has_ended(self) -> bool:
        """The association was aborted, or the connection is lost."""
        assoc = self._assoc
        return bool(assoc._kill or assoc.is_aborted or assoc.dul.ended or assoc.acse.is_aborted())  # noqa: SLF001

    def cancelled(self, message_id: int) -> bool:
        """The peer has sent a C-CANCEL for this request (PS3.7 9.3.2.3)."""
        return message_id in self._assoc.dimse.cancel_req

    def forget_cancel(self, message_id: int) -> None:
        """The request was answered for good."""
        self._assoc.dimse.cancel_req.pop(message_id, None)

    def store_answer(self, message_id: int) -> Answer:
        """The peer's answer to a C-STORE of ours. Raises `PeerGone`, also when it is silent for too long."""
        deadline = time.monotonic() + self._timeout
        while True:
            while not self._assoc.dimse.msg_queue.empty():
                _, message = self._assoc.dimse.get_msg(block=False)
                if isinstance(message, C_STORE) and message.MessageIDBeingRespondedTo == message_id:
                    return Answer(message.Status, str(message.ErrorComment or ""))
            if self.has_ended():
                raise PeerGone("the association ended in the middle of a sub-operation")
            if time.monotonic() > deadline:
                raise PeerGone(f"no answer to a sub-operation within {self._timeout:g} s")
            self._assoc.dul.woken.wait(_TICK)
            self._assoc.dul.woken.clear()

    def abort(self) -> None:
        """End the association at once."""
        self._assoc.abort(block=False)


def _batches(pieces: Iterable[bytes]) -> Iterator[bytes]:
    batch: list[bytes] = []
    length = 0
    for piece in pieces:
        batch.append(piece)
        length += len(piece)
        if length >= _BATCH:
            yield b"".join(batch)
            batch, length = [], 0
    if batch:
        yield b"".join(batch)
