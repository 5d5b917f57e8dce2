"""The association as a service sees it: whole messages out, C-CANCEL and answers of sub-operations in."""

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from itertools import chain
from typing import Any

from pynetdicom.dimse_primitives import N_EVENT_REPORT
from pynetdicom.pdu_primitives import A_RELEASE

from dicom_node.fragments import (
    Buffer,
    Pdu,
    batches,
    command_pdus,
    data_set_pdus,
    fragment_size,
    send_all,
    send_at_once,
)
from dicom_node.status import Answer

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
        self._last_id = 0

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

    def send(self, context_id: int, *commands: bytes, data_set: Iterable[Buffer] | None = None) -> None:
        """Command sets, and the data set that belongs to the last of them. Raises `PeerGone`."""
        size = self.fragment_size()
        pdus = chain.from_iterable(command_pdus(context_id, each, size) for each in commands)
        self.send_pdus(pdus if data_set is None else chain(pdus, data_set_pdus(context_id, data_set, size)))

    def fragment_size(self) -> int:
        """Bytes of a fragment that the peer takes."""
        return fragment_size(self._assoc.requestor.maximum_length)

    def send_pdus(self, pdus: Iterable[Pdu]) -> None:
        """As many at once as possible. Raises `PeerGone`."""
        for batch in batches(pdus):
            self._write(batch)

    def _write(self, batch: Pdu) -> None:
        if self.has_ended():
            raise PeerGone("the association has ended")
        connection = self._assoc.dul.socket.socket
        if connection is None:
            raise PeerGone("the connection is closed")
        try:
            with self._lock:
                if rest := send_at_once(connection, batch):
                    # A peer that takes no more may have left, or sends something itself.
                    with self._assoc.dul.read_again():
                        send_all(connection, rest)
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

    def is_leaving(self) -> bool:
        """The peer wants to release the association, or it has ended."""
        return self.has_ended() or isinstance(self._assoc.dul.peek_next_pdu(), A_RELEASE)

    def next_message_id(self) -> int:
        """Of a request of ours (PS3.7 9.1)."""
        self._last_id = self._last_id % 0xFFFF + 1
        return self._last_id

    def reading(self) -> AbstractContextManager[None]:
        """Meanwhile `store_answer` reads what the peer sends, so that no thread has to wake another."""
        return self._assoc.dul.lent()  # type: ignore[no-any-return] # the library ships no types

    def store_answer(self, message_id: int) -> Answer:
        """The peer's answer to a C-STORE of ours, while `reading`.

        Raises:
            PeerGone: it left, or is silent for too long.
        """
        return self._awaited(lambda: self._assoc.dul.store_answers.pop(message_id, None))

    def report_answer(self, message_id: int) -> Answer:
        """The peer's answer to an N-EVENT-REPORT of ours. Raises as `store_answer`."""
        # What the peer asks meanwhile is served afterwards.
        others: list[Any] = []
        try:
            return self._awaited(lambda: self._reported(message_id, others))
        finally:
            for item in others:
                self._assoc.dimse.msg_queue.put(item)

    def _awaited(self, taken: Callable[[], Answer | None]) -> Answer:
        deadline = time.monotonic() + self._timeout
        dul = self._assoc.dul
        while True:
            leaving = self.is_leaving()
            if (found := taken()) is not None:
                return found
            if leaving:
                raise PeerGone("the association ended before the peer's answer")
            if time.monotonic() > deadline:
                raise PeerGone(f"no answer of the peer within {self._timeout:g} s")
            if not dul.read_on():
                dul.woken.wait(_TICK)
                dul.woken.clear()

    def _reported(self, message_id: int, others: list[Any]) -> Answer | None:
        """The answer among the messages that have come; the messages before it are added to `others`."""
        waiting = self._assoc.dimse.msg_queue
        while not waiting.empty():
            item = waiting.get(block=False)
            if isinstance(item[1], N_EVENT_REPORT) and item[1].MessageIDBeingRespondedTo == message_id:
                return Answer(item[1].Status, str(getattr(item[1], "ErrorComment", None) or ""))
            others.append(item)
        return None

    def abort(self) -> None:
        """End the association at once."""
        self._assoc.abort(block=False)
