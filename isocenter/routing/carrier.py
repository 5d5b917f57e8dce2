"""Brings the shipments of one destination there, whatever happens to it, to us, or on the way."""

import logging
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from isocenter.routing.backoff import BackOff
from isocenter.routing.pace import Pace
from isocenter.routing.progress import Progress
from isocenter.routing.queue_sql import SqlShipments
from isocenter.routing.shipments import Shipment
from isocenter.routing.windows import Window
from storage.archive import Archive
from storage.errors import UnknownInstance
from storage.instances import StoredInstance

log = logging.getLogger(__name__)

POLL_SECONDS = 0.2


class DestinationDown(Exception):
    """A destination did not answer, or broke off; the message says why."""


class Sender(Protocol):
    """Knows the way to a destination."""

    def send(
        self,
        instances: Sequence[StoredInstance],
        paced: Callable[[Iterable[bytes]], Iterator[bytes]],
        go_on: Callable[[], bool],
    ) -> Iterator[tuple[StoredInstance, str]]:
        """Each instance comes back with why it was not stored, or an empty text.

        Args:
            instances: what is sent.
            paced: what their bytes pass through.
            go_on: asked before each; False ends it in good order.

        Raises:
            DestinationDown: what has not come back was not sent.
        """


Commitment = Callable[[Sequence[StoredInstance]], Mapping[str, str]]
"""Asks a destination: SOP Instance UIDs of what it does not promise to keep, and why.

It raises `DestinationDown` when the destination does not say."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How a destination wants to be treated."""

    name: str
    parallel: int = 1
    """Associations or requests at a time."""
    bytes_per_second: float | None = None
    windows: tuple[Window, ...] = ()
    max_attempts: int = 20

    def is_open(self, moment: datetime) -> bool:
        """It may be sent to at this time of day."""
        return not self.windows or any(window.contains(moment) for window in self.windows)


class Carrier:
    """Works off one queue.

    `run` may run in as many threads as the destination may have associations. What is acknowledged is noted
    twice a second, so that a crash sends no more than that again.
    """

    def __init__(
        self,
        terms: Terms,
        sender: Sender,
        archive: Archive,
        queue: SqlShipments,
        stopped: threading.Event,
        *,
        commitment: Commitment | None = None,
        lease: timedelta = timedelta(seconds=60),
        first_pause: float = 5.0,
    ) -> None:
        """Take what is needed.

        Args:
            terms: of the destination.
            sender: that brings instances there.
            archive: that has them.
            queue: with the shipments.
            stopped: ends everything when set, after the instance that is under way.
            commitment: asks for what was sent; None: nobody asks.
            lease: who is silent for this long has lost his shipment.
            first_pause: seconds after the first failure; it doubles with each that follows.
        """
        self.terms = terms
        self._sender = sender
        self._archive = archive
        self._queue = queue
        self._stopped = stopped
        self._commitment = commitment
        self._lease = lease
        self._back_off = BackOff(first_pause)
        self._pace = Pace(terms.bytes_per_second, stopped.wait)

    def run(self) -> None:
        """Carry until stopped; a database that does not answer delays, and ends nothing."""
        holder, troubled = uuid.uuid4().hex, False
        while not self._stopped.wait(POLL_SECONDS):
            try:
                while self.step(holder):
                    pass
                troubled = False
            except Exception:
                if not troubled:
                    log.exception("%s: sending failed; it goes on when its cause is gone", self.terms.name)
                troubled = True

    def step(self, holder: str) -> bool:
        """Carry the next shipment as far as it goes; whether there was one."""
        if not self._may_go() or self._back_off.on_break:
            return False
        shipment = self._queue.take(self.terms.name, holder, _now(), self._lease)
        if shipment is None:
            return False
        progress = Progress(self._queue, shipment, self._lease)
        trouble = self._carry(shipment, progress)
        progress.note()
        if not progress.lost:
            self._end(shipment, progress, trouble)
        return True

    def _may_go(self) -> bool:
        return not self._stopped.is_set() and self.terms.is_open(_now())

    def _carry(self, shipment: Shipment, progress: Progress) -> str:
        """Why the destination did not answer, or an empty text."""
        waiting = self._stored(self._queue.instances(shipment, "waiting"), progress)
        try:
            for instance, reason in self._sender.send(
                waiting,
                lambda chunks: progress.watched(self._pace.paced(chunks)),
                lambda: self._may_go() and not progress.lost,
            ):
                progress.add(instance.key.sop, reason)
        except DestinationDown as error:
            self._back_off.did_not_answer()
            return str(error)
        if waiting:
            self._back_off.answered()
        return ""

    def _stored(self, sops: Sequence[str], progress: Progress | None = None) -> list[StoredInstance]:
        """Those of them that were not deleted since; the others are done."""
        found = []
        for sop in sops:
            try:
                found.append(self._archive.instance(sop))
            except UnknownInstance:
                if progress:
                    progress.add(sop, "")
        return found

    def _end(self, shipment: Shipment, progress: Progress, trouble: str) -> None:
        reason = trouble or next(iter(progress.failures), "")
        if not reason and self._may_go() and self._commitment:
            reason = self._uncommitted(shipment, self._commitment)
        if reason:
            self._try_again(shipment, 1 if progress.sent else shipment.attempts + 1, reason)
        elif self._queue.finish(shipment, _now()):
            log.info("%s: study %s was sent, %d instances", self.terms.name, shipment.study, shipment.total)

    def _uncommitted(self, shipment: Shipment, ask: Commitment) -> str:
        """Why not all that was sent is kept there; what is not is sent again."""
        sent = self._stored(self._queue.instances(shipment, "sent"))
        try:
            missing = ask(sent) if sent else {}
        except DestinationDown as error:
            return f"storage commitment: {error}"
        if missing:
            self._queue.send_again(shipment, missing)
        return next((f"not committed: {reason}" for reason in missing.values()), "")

    def _try_again(self, shipment: Shipment, attempts: int, reason: str) -> None:
        park = attempts >= self.terms.max_attempts
        due_at = _now() + timedelta(seconds=self._back_off.pause(attempts - 1))
        then = "it is parked" if park else f"next try at {due_at:%H:%M:%S}"
        log.warning(
            "%s: study %s, attempt %d: %s; %s", self.terms.name, shipment.study, attempts, reason, then
        )
        self._queue.later(shipment, due_at, reason, attempts=attempts, park=park)


def _now() -> datetime:
    return datetime.now(UTC)
