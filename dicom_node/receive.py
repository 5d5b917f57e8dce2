"""The receive path: what pynetdicom reads by polling comes in here by waiting, and C-STORE never passes it.

pynetdicom negotiates, keeps the state machine of PS3.8 9.2 and serves every other message. Its service
provider is replaced by one that waits for the socket instead of polling it, writes the fragments of a C-STORE
straight from its one buffer to the spool file, and answers as soon as the instance is stored.

This leans on private names of pynetdicom, which is therefore pinned; `tests/dicom_node/test_receive.py` names
each of them.
"""

import logging
import queue
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import MethodType
from typing import Any

from pynetdicom import evt
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu_primitives import P_DATA

from dicom_node import command
from dicom_node.pdus import COMMAND, LAST, P_DATA_TF, Fragment, Malformed, PduStream
from dicom_node.receiver import Receiver, StoreRequest
from dicom_node.status import CANNOT_UNDERSTAND, Answer

log = logging.getLogger(__name__)

_TICK = 1.0
"""Seconds between two looks at timers that nothing else would notice."""
_LINGER = 2.0
"""Seconds in which a peer may close the connection after we have taken leave."""
_PARTS = 512
"""Fragments written at once; the system takes at most 1024."""
_MAX_COMMAND = 1 << 16
_MAX_IDENTIFIER = 1 << 24
"""Bytes of a data set that goes to pynetdicom, which keeps it in memory."""
_ESTABLISHED, _AWAITING_CLOSE = "Sta6", "Sta13"
_CLOSED, _INVALID = "Evt17", "Evt19"
_ENDINGS = {
    "Evt12": "released",
    "Evt16": "aborted by the peer",
    _CLOSED: "lost",
    _INVALID: "aborted for a protocol error",
}
_QUICKACK = getattr(socket, "TCP_QUICKACK", None)


class _Wake:
    """Ends the wait of a thread that waits for a socket."""

    def __init__(self) -> None:
        self.reader, self._writer = socket.socketpair()
        self.reader.setblocking(False)
        self._writer.setblocking(False)

    def set(self) -> None:
        with suppress(OSError):
            self._writer.send(b"\0")

    def clear(self) -> None:
        with suppress(BlockingIOError):
            self.reader.recv(4096)

    def close(self) -> None:
        self.reader.close()
        self._writer.close()


class _WakingQueue(queue.Queue[Any]):
    """Tells when something is put into it."""

    def __init__(self, wake: Callable[[], None]) -> None:
        super().__init__()
        self._wake = wake

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        super().put(item, block, timeout)
        self._wake()


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
        self._wake = _Wake()
        self._user = threading.Event()
        self.to_provider_queue = _WakingQueue(self._wake.set)
        self.to_user_queue = _WakingQueue(self._user.set)
        assoc.dimse.msg_queue = _WakingQueue(self._user.set)
        assoc.dul = self
        assoc._run_reactor = MethodType(_run_reactor, assoc)  # noqa: SLF001
        self.receiver: Receiver | None = None
        self._on_end = on_end
        self._ending = ""
        self.ended = False
        self._stream = PduStream()
        self._command = bytearray()
        self._context_id = 0
        self._request: StoreRequest | None = None
        self._parts: list[memoryview] = []
        self._identifier_left = 0
        self._storing = False

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
        self._connection.close()

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
        return not self._storing and super().idle_timer_expired()

    @property
    def woken(self) -> threading.Event:
        """Set when there is something for the association's own thread to look at."""
        return self._user

    def _is_transport_event(self) -> bool:
        if self.state_machine.current_state == _AWAITING_CLOSE:
            self._linger()
            return True
        if self._parse():
            return True
        if not self.event_queue.empty() or not self._readable():
            return False
        self._read()
        self._parse()
        return True

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
        poll = select.poll()
        try:
            poll.register(self._connection, select.POLLIN)
        except ValueError:  # closed by another thread
            self._event(_CLOSED)
            return False
        poll.register(self._wake.reader, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(_TICK * 1000)}
        if self._wake.reader.fileno() in ready:
            self._wake.clear()
            return False
        return bool(ready)

    def _read(self) -> None:
        try:
            count = self._connection.recv_into(self._stream.room())
            if _QUICKACK is not None:
                # The kernel forgets it. Without it, a sender with Nagle's algorithm on (DCMTK's default)
                # stalls 40 ms before the last fragment of every instance.
                self._connection.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        except OSError:
            count = 0
        if count:
            self._stream.filled(count)
        else:
            self._event(_CLOSED)

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
            self._write_parts()
        except Malformed as error:
            self._parts.clear()
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
        if fragment.control & COMMAND:
            self._command_fragment(fragment)
        elif fragment.context_id != self._context_id:
            raise Malformed(f"a data set in context {fragment.context_id} without a command")
        elif self._request:
            self._parts.append(fragment.data)
            if fragment.control & LAST:
                self._end_store(self._request)
            elif len(self._parts) >= _PARTS:
                self._write_parts()
        else:
            self._pass_on(fragment)

    def _command_fragment(self, fragment: Fragment) -> None:
        if self._request or self._identifier_left:
            raise Malformed("a command within a data set")
        self._command += fragment.data
        if len(self._command) > _MAX_COMMAND:
            raise Malformed(f"a command set of more than {_MAX_COMMAND} bytes")
        if fragment.control & LAST:
            whole = bytes(self._command)
            self._command.clear()
            self._message(fragment.context_id, whole)

    def _message(self, context_id: int, encoded: bytes) -> None:
        try:
            elements = command.decode(encoded)
        except ValueError as error:
            raise Malformed(str(error)) from error
        context = self.assoc._accepted_cx.get(context_id)  # noqa: SLF001
        if context is None:
            raise Malformed(f"a message in context {context_id}, which was not accepted")
        has_data_set = command.number(elements, command.COMMAND_DATA_SET_TYPE) != command.NO_DATA_SET
        self._context_id = context_id if has_data_set else 0
        if command.number(elements, command.COMMAND_FIELD) != command.C_STORE_RQ:
            self._identifier_left = _MAX_IDENTIFIER if has_data_set else 0
            self._to_pynetdicom(context_id, COMMAND | LAST, encoded)
            return
        request = StoreRequest(
            command.number(elements, command.MESSAGE_ID) or 0,
            command.text(elements, command.AFFECTED_SOP_CLASS_UID),
            command.text(elements, command.AFFECTED_SOP_INSTANCE_UID),
            str(context.transfer_syntax[0]),
        )
        if has_data_set:
            self._request = request
            self._receiver().begin(request)
        else:
            self._answer(context_id, request, Answer(CANNOT_UNDERSTAND, "no data set"))

    def _receiver(self) -> Receiver:
        if self.receiver is None:
            raise Malformed("a message before the association was accepted")
        return self.receiver

    def _write_parts(self) -> None:
        if self._parts:
            self._receiver().write(self._parts)
            self._parts.clear()

    def _end_store(self, request: StoreRequest) -> None:
        self._write_parts()
        self._storing = True
        try:
            answer = self._receiver().end()
        finally:
            self._idle_timer.restart()
            self._storing = False
        self._answer(self._context_id, request, answer)
        self._request, self._context_id = None, 0

    def _answer(self, context_id: int, request: StoreRequest, answer: Answer) -> None:
        encoded = command.c_store_rsp(request.message_id, request.sop_class, request.sop, answer)
        length = len(encoded)
        head = bytes((P_DATA_TF, 0)) + (length + 6).to_bytes(4) + (length + 2).to_bytes(4)
        self.socket.send(head + bytes((context_id, COMMAND | LAST)) + encoded)

    def _pass_on(self, fragment: Fragment) -> None:
        self._identifier_left -= len(fragment.data)
        if self._identifier_left <= 0:
            raise Malformed(f"an identifier of more than {_MAX_IDENTIFIER} bytes")
        if fragment.control & LAST:
            self._identifier_left = self._context_id = 0
        self._to_pynetdicom(fragment.context_id, fragment.control, bytes(fragment.data))

    def _to_pynetdicom(self, context_id: int, control: int, data: bytes) -> None:
        primitive = P_DATA()
        primitive.presentation_data_value_list = [[context_id, bytes((control,)) + data]]
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
