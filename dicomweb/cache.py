"""Bytes that cost something to make, kept up to a bound."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock


class ByteCache:
    """What was asked for last, up to a number of bytes."""

    def __init__(self, max_bytes: int = 64 << 20) -> None:
        """A value that would take more than a quarter of `max_bytes` is not kept."""
        self._max_bytes = max_bytes
        self._values: OrderedDict[Hashable, bytes] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        """The value under `key`, made when it is not here."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()
        with self._lock:
            if key not in self._values and len(value) <= self._max_bytes // 4:
                self._values[key] = value
                self._bytes += len(value)
            while self._bytes > self._max_bytes:
                self._bytes -= len(self._values.popitem(last=False)[1])
        return value
