"""How fast something may go."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator


class Pace:
    """Bytes per second, shared by all threads that pass chunks through it."""

    def __init__(self, bytes_per_second: float | None, wait: Callable[[float], object]) -> None:
        """Take what is needed.

        Args:
            bytes_per_second: None for no limit.
            wait: sleeps for so many seconds, or less when everything is to stop.
        """
        self._rate = bytes_per_second
        self._wait = wait
        self._free_at = 0.0
        self._lock = threading.Lock()

    def paced(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The chunks, each not before those before it had their time."""
        for chunk in chunks:
            self._wait_for(len(chunk))
            yield chunk

    def _wait_for(self, size: int) -> None:
        if self._rate is None:
            return
        with self._lock:
            now = time.monotonic()
            begin = max(now, self._free_at)
            self._free_at = begin + size / self._rate
        if begin > now:
            self._wait(begin - now)
