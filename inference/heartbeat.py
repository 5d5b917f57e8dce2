"""Keeps work items held while their model runs, and says how far they are."""

import logging
import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from types import TracebackType
from typing import Self

from inference.workitems import LeaseLost, WorkItem
from inference.workitems_sql import SqlWorkItems
from storage.errors import StorageError

log = logging.getLogger(__name__)

_BEATS = 3
"""Renewals within one lease."""
_LOOKS = 0.5
"""Seconds: progress that is passed by then is not written down."""


class Heartbeat:
    """A context manager that renews the leases of work items in a thread of its own.

    Args:
        work: the work list.
        items: held by this worker.
        lease: of each.
    """

    def __init__(self, work: SqlWorkItems, items: Sequence[WorkItem], lease: timedelta) -> None:
        self._work, self._lease = work, lease
        self._held = [(item.uid, item.transaction or "") for item in items]
        self._done = threading.Event()
        self._lost: LeaseLost | None = None
        self._progress: tuple[int, str] | None = None
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def tell(self, percent: int, note: str) -> None:
        """Have the progress written, if it lasts: a commit costs more than a short step."""
        self._progress = (percent, note)

    def check(self) -> None:
        """Raise `LeaseLost` when an item was withdrawn or taken over meanwhile."""
        if self._lost is not None:
            raise self._lost
        for held in self._held:
            self._work.check(*held)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _beat(self) -> None:
        every = self._lease.total_seconds() / _BEATS
        renewed, written = time.monotonic(), None
        while not self._done.wait(min(every, _LOOKS)):
            try:
                if self._progress is not None and self._progress != written:
                    written = self._progress
                    for held in self._held:
                        self._work.progress(*held, *written)
                if time.monotonic() - renewed >= every:
                    renewed = time.monotonic()
                    for held in self._held:
                        self._work.renew(*held, self._lease)
            except LeaseLost as error:
                self._lost = error
                return
            except StorageError as error:
                log.warning("work items were not held on to: %s", error)
