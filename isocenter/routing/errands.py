"""Runs the errands of one rule, one study after the other, and again until they work out."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from dicom_node.requestor import AssociationFailed
from isocenter.routing.backoff import BackOff
from isocenter.routing.errands_sql import Errand, SqlErrands

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5


class Overtaken(Exception):
    """Another router does it, or it is to be done anew."""


class Runner(Protocol):
    """Knows how an errand is done."""

    def run(self, study: str, go_on: Callable[[], None], stopped: threading.Event) -> int:
        """Do it for one study; how much was done.

        Args:
            study: Study Instance UID.
            go_on: to be called between long steps.
            stopped: ends it.

        Raises:
            AssociationFailed: to be tried again.
            Overtaken: by `go_on`.
        """


@dataclass(frozen=True, slots=True)
class ErrandTerms:
    """How the errands of a rule are done."""

    name: str
    max_attempts: int
    lease: timedelta
    """How long a step may take before another router tries."""
    first_pause: float = 5.0
    """Seconds after the first failure; it doubles with each that follows."""


class Errands:
    """Works off the errands of one rule."""

    def __init__(self, terms: ErrandTerms, runner: Runner, queue: SqlErrands) -> None:
        self.terms = terms
        self._runner = runner
        self._queue = queue
        self._back_off = BackOff(terms.first_pause)

    def run(self, stopped: threading.Event) -> None:
        """Work until stopped; a database that does not answer delays, and ends nothing."""
        troubled = False
        while not stopped.wait(POLL_SECONDS):
            try:
                while not stopped.is_set() and not self._back_off.on_break and self._step(stopped):
                    pass
                troubled = False
            except Exception:
                if not troubled:
                    log.exception("%s: failed; it goes on when its cause is gone", self.terms.name)
                troubled = True

    def _step(self, stopped: threading.Event) -> bool:
        errand = self._queue.take(self.terms.name, _now(), self.terms.lease)
        if errand is None:
            return False
        held = _Held(errand, self._queue, self.terms.lease)
        try:
            done = self._runner.run(errand.study, held.go_on, stopped)
        except AssociationFailed as error:
            self._back_off.did_not_answer()
            self._try_again(held.errand, str(error))
        except Overtaken:
            log.info("%s: study %s is done anew, or by another", self.terms.name, errand.study)
        else:
            self._back_off.answered()
            self._queue.done(held.errand, done)
        return True

    def _try_again(self, errand: Errand, reason: str) -> None:
        park = errand.attempts + 1 >= self.terms.max_attempts
        due_at = _now() + timedelta(seconds=self._back_off.pause(errand.attempts))
        then = "it is parked" if park else f"next try at {due_at:%H:%M:%S}"
        log.warning("%s: study %s: %s; %s", self.terms.name, errand.study, reason, then)
        self._queue.later(errand, due_at, reason, park=park)


class _Held:
    """An errand whose lease is renewed as it goes on."""

    def __init__(self, errand: Errand, queue: SqlErrands, lease: timedelta) -> None:
        self.errand = errand
        self._queue = queue
        self._lease = lease

    def go_on(self) -> None:
        renewed = self._queue.renew(self.errand, _now() + self._lease)
        if renewed is None:
            raise Overtaken
        self.errand = renewed


def _now() -> datetime:
    return datetime.now(UTC)
