"""What ends the waiting of a thread."""

import queue
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any


class Wake:
    """Ends the wait of a thread that polls sockets: `reader` has something to read once it is set."""

    def __init__(self) -> None:
        self.reader, self._writer = socket.socketpair()
        self.reader.setblocking(False)
        self._writer.setblocking(False)

    def set(self) -> None:
        """Harmless when set already, and when closed."""
        with suppress(OSError):
            self._writer.send(b"\0")

    def clear(self) -> None:
        """Harmless when not set."""
        with suppress(BlockingIOError):
            self.reader.recv(4096)

    def close(self) -> None:
        self.reader.close()
        self._writer.close()


class WakingQueue(queue.Queue[Any]):
    """Tells when something was put into it."""

    def __init__(self, wake: Callable[[], None]) -> None:
        super().__init__()
        self._wake = wake

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        super().put(item, block, timeout)
        self._wake()
