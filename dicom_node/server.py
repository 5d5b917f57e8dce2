"""Connections: accepted, wrapped in TLS, and given to the receive path."""

import logging
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from socketserver import BaseServer
from typing import Any, Self

from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from dicom_node.receive import StoreProvider

log = logging.getLogger(__name__)

_STEP = 0.002
"""Seconds that a process waits before it takes a connection, for each it has."""
_STEPS = 16

Ended = Callable[[Any, str], None]
"""Told of an association and how it ended."""


class SharedContexts(list[Any]):
    """Presentation contexts that all associations share.

    pynetdicom copies them for each one, which takes 70 ms for all storage classes; nobody changes them.
    """

    def __deepcopy__(self, memo: object) -> "SharedContexts":
        return self


class SerialTls(ssl.SSLSocket):
    """A TLS connection that two threads read and write, which OpenSSL leaves to its users to order."""

    _order: threading.Lock

    def __new__(cls, *args: Any, **options: Any) -> Self:
        """As in `ssl`, which calls no initialiser of ours."""
        connection = super().__new__(cls, *args, **options)
        connection._order = threading.Lock()
        return connection

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        """As in `ssl`; who calls it knows that there is something to read."""
        with self._order:
            return super().recv_into(buffer, nbytes, flags)

    def send(self, data: Any, flags: int = 0) -> int:
        with self._order:
            return super().send(data, flags)


class NodeServer(ThreadedAssociationServer):  # type: ignore[misc] # the library ships no types
    """Listens; each connection gets threads of its own."""

    request_queue_size = 128
    daemon_threads = True

    def __init__(
        self, *args: Any, connections: int, shared: socket.socket | None = None, **options: Any
    ) -> None:
        """As in pynetdicom.

        Args:
            *args: of pynetdicom's server.
            connections: of more at once, further ones are closed unheard.
            shared: a socket that listens, also for other processes; takes the place of one at the address.
            **options: of pynetdicom's server.
        """
        self._most, self._open = connections, 0
        self._lock = threading.Lock()
        self._shared = shared
        super().__init__(*args, **options)

    def server_bind(self) -> None:
        if self._shared is None:
            super().server_bind()
            return
        self.socket.close()
        self.socket: Any = self._shared
        # Another process may be faster than we are.
        self.socket.setblocking(False)
        self.server_address = self.socket.getsockname()

    def get_request(self) -> tuple[socket.socket, Any]:
        if self._shared:
            # Of the processes that share the port, the one with the fewest connections takes the next.
            time.sleep(min(self._open, _STEPS) * _STEP)
        # The TLS handshake is left to the connection's own thread: here, one slow peer would stop all others.
        connection, address = self.socket.accept()
        return connection, address

    def verify_request(self, _request: object, client_address: Any) -> bool:
        with self._lock:
            if self._open < self._most:
                self._open += 1
                return True
        log.warning("connection from %s closed: there are too many", client_address[0])
        return False

    def handle_error(self, _request: object, client_address: Any) -> None:
        log.warning("connection from %s dropped: %s", client_address[0], sys.exc_info()[1])
        self.connection_ended()

    def connection_ended(self) -> None:
        with self._lock:
            self._open -= 1

    def service_actions(self) -> None:
        """Nothing. pynetdicom collects garbage here every few seconds, and all threads wait 0.1 s for it."""

    def shutdown(self) -> None:
        """Stop listening; associations go on."""
        BaseServer.shutdown(self)
        # Not shut down: other processes may listen on it.
        self.socket.close()


class Connection(RequestHandler):  # type: ignore[misc] # the library ships no types
    """One connection, from the handshake to the threads of its association."""

    request: socket.socket

    def __init__(
        self, request: socket.socket, client_address: Any, server: NodeServer, *, on_end: Ended
    ) -> None:
        self._on_end = on_end
        super().__init__(request, client_address, server)

    def setup(self) -> None:
        self.request.settimeout(self.ae.acse_timeout)
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.server.ssl_context:
            self.request = self.server.ssl_context.wrap_socket(self.request, server_side=True)
        self.request.settimeout(self.ae.network_timeout)

    def _create_association(self) -> Any:
        assoc = super()._create_association()
        StoreProvider(assoc, self._ended)
        return assoc

    def _ended(self, assoc: Any, how: str) -> None:
        self.server.connection_ended()
        self._on_end(assoc, how)
