"""Who is worked on beside whom in one process: what failed before by itself, and never too much at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Company:
    """Lets work items wait for each other; safe to share between threads.

    An item that ends its process takes those beside it down, and each of them has lost a try. So what is
    tried again is tried alone: nothing is given up for the fault of another.

    Args:
        room: bytes of images, as they are stored, that are worked on at once; more than that is alone.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._changed = threading.Condition()
        self._inside = 0
        self._bytes = 0
        self._alone = False

    @contextmanager
    def joined(self, *, alone: bool) -> Iterator[None]:
        """Wait until the item may begin: with nobody else inside, or unless somebody is to be alone."""
        with self._changed:
            if alone:
                self._changed.wait_for(lambda: not self._alone)
                self._alone = True
                self._changed.wait_for(lambda: not self._inside)
            else:
                self._changed.wait_for(lambda: not self._alone)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                if alone:
                    self._alone = False
                self._changed.notify_all()

    @contextmanager
    def holding(self, size: int) -> Iterator[None]:
        """Wait until there is room for images of so many bytes."""
        with self._changed:
            self._changed.wait_for(lambda: not self._bytes or self._bytes + size <= self._room)
            self._bytes += size
        try:
            yield
        finally:
            with self._changed:
                self._bytes -= size
                self._changed.notify_all()
