"""Keeps a work item held while its model runs."""

import logging
import threading
from datetime import timedelta
from types import TracebackType
from typing import Self

from inference.workitems import LeaseLost
from inference.workitems_sql import SqlWorkItems
from storage.errors import StorageError

log = logging.getLogger(__name__)

_BEATS = 3
"""Renewals within one lease."""


class Heartbeat:
    """A context manager that renews the lease of one work item in a thread of its own."""

    def __init__(self, work: SqlWorkItems, uid: str, transaction: str, lease: timedelta) -> None:
        self._work, self._uid, self._transaction, self._lease = work, uid, transaction, lease
        self._done = threading.Event()
        self._lost: LeaseLost | None = None
        self._thread = threading.Thread(target=self._beat, name=f"heartbeat {uid}", daemon=True)

    def check(self) -> None:
        """Raise `LeaseLost` when the item was withdrawn or taken over meanwhile."""
        if self._lost is not None:
            raise self._lost

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._done.wait(self._lease.total_seconds() / _BEATS):
            try:
                self._work.renew(self._uid, self._transaction, self._lease)
            except LeaseLost as error:
                self._lost = error
                return
            except StorageError as error:
                log.warning("work item %s: its lease was not renewed: %s", self._uid, error)
