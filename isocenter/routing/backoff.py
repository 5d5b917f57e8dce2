"""When to try again."""

import random
import threading
import time

_LONGEST_PAUSE = 3600.0
_LONGEST_BREAK = 300.0
_MOST_DOUBLINGS = 20


class BackOff:
    """Pauses that double with each failure, and breaks for a destination that does not answer."""

    def __init__(self, first: float = 5.0) -> None:
        """Pauses begin with `first` seconds and end with an hour."""
        self._first = first
        self._lock = threading.Lock()
        self._failures = 0
        self._ends = 0.0

    def pause(self, failures: int) -> float:
        """Seconds until the next try; not the same for all, or they would all come back together."""
        pause: float = min(self._first * 2 ** min(failures, _MOST_DOUBLINGS), _LONGEST_PAUSE)
        return pause * random.uniform(0.75, 1.25)  # noqa: S311 - nobody gains by guessing it

    @property
    def on_break(self) -> bool:
        """The destination is left alone."""
        return time.monotonic() < self._ends

    def answered(self) -> None:
        """The destination is there."""
        with self._lock:
            self._failures = 0

    def did_not_answer(self) -> None:
        """It is asked now and then, not once for each shipment that waits for it."""
        with self._lock:
            self._ends = time.monotonic() + min(self.pause(self._failures), _LONGEST_BREAK)
            self._failures += 1
