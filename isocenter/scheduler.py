"""Turns what arrived into work, and sends the hints that workers wait for.

A hint may be lost and may come twice: the work items are in the database, and whatever is due and not yet
taken is hinted again (design promise 6).
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from inference.workitems import RESOURCES

log = logging.getLogger(__name__)

POLL_SECONDS = 0.1
HINT_AGAIN_SECONDS = 30.0
UPKEEP_SECONDS = 60.0
AHEAD = 64
"""Work items hinted at once for each resource, however many wait."""


class _Triggers(Protocol):
    def poll(self) -> list[str]: ...


class _Work(Protocol):
    def due(self, *, limit: int, resources: Sequence[str]) -> Sequence[str]: ...


class Scheduler:
    """Polls the triggers and hints what is due; one or many may run."""

    def __init__(
        self,
        triggers: _Triggers,
        work: _Work,
        hint: Callable[[str], None],
        upkeep: Callable[[], None] = lambda: None,
        resources: Sequence[str] = RESOURCES,
    ) -> None:
        self._triggers = triggers
        self._work = work
        self._hint = hint
        self._hinted: dict[str, float] = {}
        self._upkeep = upkeep
        self._resources = resources
        self._kept_up = -UPKEEP_SECONDS

    def tick(self) -> None:
        """One round: new work from the triggers, everything due that was not hinted lately, and upkeep."""
        self._triggers.poll()
        now = time.monotonic()
        hinted: dict[str, float] = {}
        for resource in self._resources:
            for uid in self._work.due(limit=AHEAD, resources=[resource]):
                hinted[uid] = self._hinted_at(uid, resource, now)
        # What is no longer due was taken or has ended: forgetting it lets a later retry be hinted at once.
        self._hinted = hinted
        if now - self._kept_up >= UPKEEP_SECONDS:
            self._kept_up = now
            self._upkeep()

    def _hinted_at(self, uid: str, resource: str, now: float) -> float:
        last = self._hinted.get(uid)
        if last is not None and now - last < HINT_AGAIN_SECONDS:
            return last
        self._hint(resource)
        return now

    def run(self, stopped: threading.Event) -> None:
        """Tick until `stopped`; a database or broker that does not answer delays, and ends nothing."""
        troubled = False
        while not stopped.wait(POLL_SECONDS):
            try:
                self.tick()
                troubled = False
            except Exception:
                if not troubled:
                    log.exception("planning work failed; it goes on when its cause is gone")
                troubled = True
