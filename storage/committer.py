"""Many receivers, one transaction: whoever comes while a transaction runs goes into the next one together.

A commit waits for the disk, however many rows it has. There is no thread and no delay of our own: the first
who finds nobody writing writes for all who wait.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_GROUP = 256


class _Waiting(Generic[Item, Result]):
    __slots__ = ("done", "error", "item", "result")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.done = False
        self.result: Result | None = None
        self.error: BaseException | None = None


class Committer(Generic[Item, Result]):
    """Groups the items of many threads into calls of `write`, which answers one result for each, in order."""

    def __init__(self, write: Callable[[Sequence[Item]], Sequence[Result]], group: int = _GROUP) -> None:
        self._write = write
        self._group = group
        self._queue: deque[_Waiting[Item, Result]] = deque()
        self._changed = threading.Condition()
        self._busy = False

    def commit(self, item: Item) -> Result:
        """The result for `item`, when it is written. Raises what `write` raised for its group."""
        mine: _Waiting[Item, Result] = _Waiting(item)
        with self._changed:
            self._queue.append(mine)
        while group := self._next_group(mine):
            self._write_group(group)
        if mine.error is not None:
            raise mine.error
        return mine.result  # type: ignore[return-value] # set when there is no error

    def _next_group(self, mine: _Waiting[Item, Result]) -> list[_Waiting[Item, Result]]:
        """What this thread must write now; nothing when its own item is done."""
        with self._changed:
            while self._busy and not mine.done:
                self._changed.wait()
            if mine.done:
                return []
            self._busy = True
            return [self._queue.popleft() for _ in range(min(self._group, len(self._queue)))]

    def _write_group(self, group: list[_Waiting[Item, Result]]) -> None:
        try:
            results = self._write([waiting.item for waiting in group])
            for waiting, result in zip(group, results, strict=True):
                waiting.result = result
        except BaseException as error:  # noqa: BLE001 - raised again in every thread that waits for this group
            for waiting in group:
                waiting.error = error
        with self._changed:
            for waiting in group:
                waiting.done = True
            self._busy = False
            self._changed.notify_all()
