"""The receive path: what pynetdicom reads by polling comes in here by waiting, and C-STORE never passes it.

pynetdicom negotiates, keeps the state machine of PS3.8 9.2 and serves every other message. Its service
provider is replaced by one that waits for the socket instead of polling it, writes the fragments of a C-STORE
straight from its one buffer to the spool file, and answers as soon as the instance is stored.

This leans on private names of pynetdicom, which is therefore pinned; `tests/dicom_node/test_receive.py` names
each of them.
"""

import logging
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import MethodType
from typing import Any

from pynetdicom import evt
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu_primitives import P_DATA

from dicom_node.messages import Messages
from dicom_node.pdus import P_DATA_TF, Fragment, Malformed, PduStream
from dicom_node.receiver import RELEASED
from dicom_node.status import Answer
from dicom_node.waking import Wake, WakingQueue

log = logging.getLogger(__name__)

_TICK = 1.0
"""Seconds between two looks at timers that nothing else would notice."""
_LINGER = 2.0
"""Seconds in which a peer may close the connection after we have taken leave."""
_ESTABLISHED, _AWAITING_CLOSE = "Sta6", "Sta13"
_CLOSED, _INVALID = "Evt17", "Evt19"
_ENDINGS = {
    "Evt12": RELEASED,
    "Evt16": "aborted by the peer",
    _CLOSED: "lost",
    _INVALID: "aborted for a protocol error",
}
_QUICKACK = getattr(socket, "TCP_QUICKACK", None)


class StoreProvider(DULServiceProvider):  # type: ignore[misc] # the library ships no types
    """The upper layer of one association that was opened by a peer."""

    def __init__(self, assoc: Any, on_end: Callable[[Any, str], None]) -> None:
        """Take the place of `assoc.dul`, whose thread has not started.

        Args:
            assoc: an association as acceptor.
            on_end: called in this thread with `assoc` and how it ended.
        """
        replaced = assoc.dul
        super().__init__(assoc)
        self.daemon = True
        self.socket, self.event_queue = replaced.socket, replaced.event_queue
        self.artim_timer, self._idle_timer = replaced.artim_timer, replaced._idle_timer  # noqa: SLF001
        self._connection: socket.socket = replaced.socket.socket
        self._run_loop_delay = 0
        self._wake = Wake()
        self._user = threading.Event()
        self.to_provider_queue = WakingQueue(self._wake.set)
        self.to_user_queue = WakingQueue(self._user.set)
        assoc.dimse.msg_queue = WakingQueue(self._user.set)
        assoc.dul = self
        assoc._run_reactor = MethodType(_run_reactor, assoc)  # noqa: SLF001
        self._poll = select.poll()
        self._poll.register(self._connection, select.POLLIN)
        self._poll.register(self._wake.reader, select.POLLIN)
        self._lent_poll, self._wake_poll = select.poll(), select.poll()
        self._lent_poll.register(self._connection, select.POLLIN)
        self._wake_poll.register(self._wake.reader, select.POLLIN)
        self._on_end = on_end
        self._ending = ""
        self.ended = False
        self._reading = threading.Lock()
        self._lent = False
        self.store_answers: dict[int, Answer] = {}
        """The peer's answers to C-STORE requests of ours, by message ID."""
        self._stream = PduStream()
        self.messages = Messages(self)

    def run_reactor(self) -> None:
        """The thread: until the association has ended, however that comes."""
        try:
            super().run_reactor()
        except Exception as error:  # noqa: BLE001 - what pynetdicom makes of hostile bytes ends this peer only
            log.warning("connection dropped: %s: %s", type(error).__name__, error)
            self._ending = self._ending or _ENDINGS[_INVALID]
        finally:
            self._shut()
            self._on_end(self.assoc, self._ending or "aborted by us")
            self.ended = True
            # Whoever still waits for a primitive gets none.
            self.to_user_queue.put(None)
            self._wake.close()

    def _shut(self) -> None:
        # pynetdicom forgets a socket unclosed when the peer was the first to shut it down.
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        with self._reading:
            self._connection.close()
            # Threads and associations refer to each other: until they are collected, so would the buffer.
            self._stream.close()

    def kill_dul(self) -> None:
        super().kill_dul()
        self._wake.set()

    def stop_dul(self) -> bool:
        if self.state_machine.current_state != "Sta1":
            return False
        self.kill_dul()
        if threading.current_thread() is not self:
            self.join()
        return True

    def idle_timer_expired(self) -> bool:
        # A peer that waits for its answer is not idle.
        return not self.messages.storing and super().idle_timer_expired()

    @property
    def woken(self) -> threading.Event:
        """Set when there is something for the association's own thread to look at."""
        return self._user

    def _is_transport_event(self) -> bool:
        if self._lent or not self._reading.acquire(blocking=False):
            self._wait_for_wake()
            return not self.event_queue.empty()
        try:
            return self._heard()
        finally:
            self._reading.release()

    def _heard(self) -> bool:
        if self.state_machine.current_state == _AWAITING_CLOSE:
            self._linger()
            return True
        heard = False
        while not self._parse() and self._readable():
            self._read()
            heard = True
            if self.state_machine.current_state != _ESTABLISHED:
                break  # the state machine has its timer to look at
            # It need not see fragments: pynetdicom's loop sleeps before each of its turns.
            self._idle_timer.restart()
        return heard or not self.event_queue.empty()

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Until this ends its caller's thread reads (`read_on`); ours has timers and aborts to look at."""
        self._lent = True
        self._wake.set()
        try:
            with self._reading:
                yield
        finally:
            self._lent = False
            self._wake.set()

    @contextmanager
    def read_again(self) -> Iterator[None]:
        """Our thread reads until this ends, also within `lent`."""
        if not self._lent:
            yield
            return
        self._lent = False
        self._reading.release()
        self._wake.set()
        try:
            yield
        finally:
            self._lent = True
            self._wake.set()
            self._reading.acquire()

    def read_on(self) -> bool:
        """Wait for a second at most, and handle what comes; False when it is not up to the caller to read."""
        if not self._lent or self.ended or self.state_machine.current_state != _ESTABLISHED:
            return False
        if not self._parse() and self._has_come():
            self._read()
            self._idle_timer.restart()
            self._parse()
        if self.event_queue.empty():
            return True
        self._wake.set()
        return False

    def _has_come(self) -> bool:
        if isinstance(self._connection, ssl.SSLSocket) and self._connection.pending():
            return True
        return bool(self._lent_poll.poll(_TICK * 1000))

    def _wait_for_wake(self) -> None:
        if self._wake_poll.poll(_TICK * 1000):
            self._wake.clear()

    def _linger(self) -> None:
        """Wait until the peer closes, and close.

        Closing at once would reset a connection on which the peer still sends, and take back our last words.
        """
        deadline = time.monotonic() + _LINGER
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)
            self._connection.settimeout(_LINGER)
            while time.monotonic() < deadline and self._connection.recv_into(self._stream.room()):
                pass
        self.socket.close()

    def _readable(self) -> bool:
        """Wait until the peer has sent something; False when there is something else to do."""
        if isinstance(self._connection, ssl.SSLSocket) and self._connection.pending():
            return True
        if self._connection.fileno() < 0:  # closed by another thread
            self._event(_CLOSED)
            return False
        ready = {fd for fd, _ in self._poll.poll(_TICK * 1000)}
        if self._wake.reader.fileno() in ready:
            self._wake.clear()
            return False
        return bool(ready)

    def _read(self) -> None:
        try:
            count = self._receive(self._stream.room())
            if _QUICKACK is not None:
                # The kernel forgets it. Without it, a sender with Nagle's algorithm on (DCMTK's default)
                # stalls 40 ms before the last fragment of every instance.
                self._connection.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        except BlockingIOError:
            return
        except OSError:
            count = 0
        if count:
            self._stream.filled(count)
        else:
            self._event(_CLOSED)

    def _receive(self, room: memoryview) -> int:
        if isinstance(self._connection, ssl.SSLSocket):
            return self._connection.recv_into(room)
        # A socket with a timeout would poll once more.
        return os.readv(self._connection.fileno(), [room])

    def _event(self, event: str) -> None:
        self._ending = self._ending or _ENDINGS.get(event, "")
        self.event_queue.put(event)

    def _parse(self) -> bool:
        """Handle what has come; True when there is something for the state machine."""
        try:
            while self.event_queue.empty() and (item := self._stream.next()) is not None:
                if isinstance(item, bytes):
                    self._other_pdu(item)
                else:
                    self._fragment(item)
            self.messages.flush()
        except Malformed as error:
            log.warning("%s sends %s", self.assoc.requestor.address_info.address, error)
            self._event(_INVALID)
        return not self.event_queue.empty()

    def _other_pdu(self, whole: bytes) -> None:
        try:
            pdu, event = self._decode_pdu(bytearray(whole))
        except Exception as error:
            raise Malformed(f"a PDU of type 0x{whole[0]:02X} that cannot be read: {error}") from error
        self._recv_pdu.put(pdu)
        self._event(event)

    def _fragment(self, fragment: Fragment) -> None:
        if self.state_machine.current_state != _ESTABLISHED:
            raise Malformed(f"a PDU of type 0x{P_DATA_TF:02X} outside an association")
        self.messages.take(fragment)

    def transfer_syntax(self, context_id: int) -> str | None:
        context = self.assoc._accepted_cx.get(context_id)  # noqa: SLF001
        return str(context.transfer_syntax[0]) if context else None

    def send(self, pdu: bytes) -> None:
        self._idle_timer.restart()
        self.socket.send(pdu)

    def answered(self, message_id: int, answer: Answer) -> None:
        self.store_answers[message_id] = answer

    def pass_on(self, context_id: int, value: bytes) -> None:
        primitive = P_DATA()
        primitive.presentation_data_value_list = [[context_id, value]]
        try:
            self.assoc.dimse.receive_primitive(primitive)
        except Exception as error:
            raise Malformed(f"a message that cannot be read: {error}") from error


def _run_reactor(assoc: Any) -> None:
    """What `Association._run_reactor` does every millisecond, when there is something to do."""
    while not assoc._kill:  # noqa: SLF001
        assoc.dul.woken.wait(_TICK)
        assoc.dul.woken.clear()
        # Other threads that send on this association take its answers; they pause us meanwhile.
        assoc._is_paused = True  # noqa: SLF001
        assoc._reactor_checkpoint.wait()  # noqa: SLF001
        assoc._is_paused = False  # noqa: SLF001
        _serve_messages(assoc)
        if _has_ended(assoc):
            assoc.kill()


def _serve_messages(assoc: Any) -> None:
    while not assoc.dimse.msg_queue.empty():
        context_id, message = assoc.dimse.get_msg(block=False)
        if message:
            assoc._serve_request(message, context_id)  # noqa: SLF001


def _has_ended(assoc: Any) -> bool:
    if assoc.is_established and assoc.acse.is_release_requested():
        assoc.acse.send_release(is_response=True)
        assoc.is_released, assoc.is_established = True, False
        evt.trigger(assoc, evt.EVT_RELEASED, {})
        return True
    if assoc.acse.is_aborted():
        assoc.dul.receive_pdu(wait=False)
        assoc.is_aborted, assoc.is_established = True, False
        evt.trigger(assoc, evt.EVT_ABORTED, {})
        return True
    if assoc.dul.idle_timer_expired():
        log.warning("%s is silent: association aborted", assoc.requestor.address_info.address)
        assoc.abort()
        return True
    return bool(assoc.dul.ended)
