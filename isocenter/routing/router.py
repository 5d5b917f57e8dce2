"""Everything that sends by itself, put together and kept running."""

import logging
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from isocenter.routing.carrier import Carrier
from isocenter.routing.errands import Errands
from isocenter.routing.planner import Planner

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.2
_UPKEEP = timedelta(hours=1)


class _Queue(Protocol):
    def forget(self, before: datetime) -> None: ...


class Router:
    """Plans in the calling thread, and carries in threads of their own for each destination.

    So a destination that hangs delays nobody else.
    """

    def __init__(
        self,
        planner: Planner,
        carriers: Sequence[Carrier],
        errands: Sequence[Errands],
        queues: Sequence[_Queue],
        stopped: threading.Event,
        *,
        keep: timedelta,
    ) -> None:
        """Take what is needed; `keep` is how long shipments that were sent are listed."""
        self._planner = planner
        self._carriers = carriers
        self._errands = errands
        self._queues = queues
        self._stopped = stopped
        self._keep = keep

    def run(self) -> None:
        """Until stopped; what is under way then is finished as far as the instance goes."""
        threads = [
            threading.Thread(target=each.run, name=f"{each.terms.name}-{number}")
            for each in self._carriers
            for number in range(each.terms.parallel)
        ]
        threads += [
            threading.Thread(target=each.run, args=(self._stopped,), name=each.terms.name)
            for each in self._errands
        ]
        for thread in threads:
            thread.start()
        self._plan()
        for thread in threads:
            thread.join()

    def _plan(self) -> None:
        troubled, kept_up = False, datetime.min.replace(tzinfo=UTC)
        while not self._stopped.wait(_POLL_SECONDS):
            now = datetime.now(UTC)
            try:
                while self._planner.poll(now) and not self._stopped.is_set():
                    pass
                if now - kept_up >= _UPKEEP:
                    for each in self._queues:
                        each.forget(now - self._keep)
                    kept_up = now
                troubled = False
            except Exception:
                if not troubled:
                    log.exception("planning what is sent failed; it goes on when its cause is gone")
                troubled = True
