"""What changed, told to all who listen: the database is asked once for all of them."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from typing import Protocol

import anyio
from anyio.to_thread import run_sync

from storage.errors import StorageError


class Changes(Protocol):
    """What is asked."""

    def marks(self) -> Mapping[str, str]:
        """A mark of each kind of thing; another one when something of the kind has changed."""


class _Listener:
    def __init__(self) -> None:
        self._news: set[str] = set()
        self._told = asyncio.Event()
        self.is_new = True

    def tell(self, kinds: set[str]) -> None:
        self._news |= kinds
        self.is_new = False
        if self._news:
            self._told.set()

    async def next(self, seconds: float) -> frozenset[str]:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._told.wait(), seconds)
        news = frozenset(self._news)
        self._news.clear()
        self._told.clear()
        return news


class Live:
    """Asks while somebody listens, one question at a time, and holds no thread between questions.

    Args:
        changes: what is asked.
        every: seconds between questions.
        most: so many may listen.
    """

    def __init__(self, changes: Changes, every: float = 0.5, most: int = 256) -> None:
        self._changes = changes
        self._every = every
        self._most = most
        self._listeners: set[_Listener] = set()
        self._marks: Mapping[str, str] = {}
        self._asking: asyncio.Task[None] | None = None

    @property
    def is_full(self) -> bool:
        """As many listen as may."""
        return len(self._listeners) >= self._most

    async def listen(self, silence: float) -> AsyncGenerator[frozenset[str], None]:
        """The kinds that have changed, all of them at first; none when nothing did for `silence` seconds."""
        listener = _Listener()
        self._listeners.add(listener)
        try:
            while True:
                if self._asking is None or self._asking.done():
                    self._asking = asyncio.create_task(self._ask())
                yield await listener.next(silence)
        finally:
            self._listeners.remove(listener)

    async def _ask(self) -> None:
        thread = anyio.CapacityLimiter(1)  # not one of those that requests wait for
        while self._listeners:
            with suppress(StorageError):  # readiness says so; there is no news until it is back
                self._tell(await run_sync(self._changes.marks, limiter=thread))
            await asyncio.sleep(self._every)

    def _tell(self, marks: Mapping[str, str]) -> None:
        changed = {kind for kind, mark in marks.items() if self._marks.get(kind) != mark}
        self._marks = marks
        for each in self._listeners:
            # What a client read before it came may be older than these marks.
            each.tell(set(marks) if each.is_new else changed)
