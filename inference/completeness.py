"""When is a series complete? Few senders say so for certain, so each event moves a due time."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from inference.expected import Expected
from inference.pace import LONGEST, sender_of
from storage.events import Event

ARRIVALS = frozenset({"instance.stored", "instance.replaced"})


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What is known of a series whose images are coming in."""

    study: str
    series: str
    due_at: datetime
    """When it counts as complete unless more comes."""
    received_at: datetime
    """When the last image came."""
    deliveries: Mapping[str, int] = field(default_factory=dict)
    """How many instances each delivery has brought that has not ended."""
    version: int = 1
    """Grows with every event."""
    sender: str = ""
    """Who brings it (`pace.sender_of`)."""
    expected: Expected | None = None
    """What its first image says; None: it was not asked."""
    ended_at: datetime | None = None
    """When the last delivery ended after which nothing has come."""
    pause: timedelta = timedelta(0)
    """The longest time from the end of a delivery to the next image."""

    def paused(self, since: datetime | None, until: datetime) -> "Arrivals":
        """With the time between the two as a pause, where it is the longest and no other sending."""
        pause = until - since if since else timedelta(0)
        return replace(self, pause=max(self.pause, pause)) if pause <= LONGEST else self


@dataclass(frozen=True, slots=True)
class Completeness:
    """The waiting times.

    A delivery that ends after several instances of the series, with no other under way, is a good sign that
    all are there. One that brought a single instance is not: some modalities open an association per image.
    Where it was learnt what a sender does, that counts in place of these two.
    """

    quiet: timedelta = timedelta(seconds=5)
    """After the last image, when no delivery has ended well."""
    settle: timedelta = timedelta(seconds=1)
    """After the end of a delivery of several instances."""

    def after(
        self, arrivals: Arrivals | None, event: Event, wait: timedelta | None = None
    ) -> Arrivals | None:
        """The state after `event`, None when the series is not waiting for anything.

        Args:
            arrivals: the state before.
            event: what happened.
            wait: how long after the end of a delivery the sender's next would have come; None: not known.
        """
        if event.kind in ARRIVALS:
            return self._arrived(arrivals, event)
        if event.kind == "delivery.ended" and arrivals is not None:
            return self._ended(arrivals, event, wait)
        if event.kind == "series.performed" and arrivals is not None:
            return replace(arrivals, version=arrivals.version + 1)
        return arrivals

    def judged(self, arrivals: Arrivals, missing: int, now: datetime) -> Arrivals:
        """The state when it is known how many instances there are.

        Args:
            arrivals: the state that the events left.
            missing: how many of those instances have not come.
            now: when all are there, the series is complete.
        """
        if missing:
            return replace(arrivals, due_at=max(arrivals.due_at, arrivals.received_at + self.quiet))
        return replace(arrivals, due_at=min(arrivals.due_at, now))

    def counted(self, arrivals: Arrivals, stored: int, now: datetime) -> Arrivals:
        """The state when `stored` images are there, by what the first of them says of their number."""
        expected = arrivals.expected or Expected()
        missing = expected.missing(stored)
        if missing is None:
            return arrivals
        return self.judged(arrivals, missing, now if expected.exact else arrivals.received_at + self.settle)

    def _arrived(self, arrivals: Arrivals | None, event: Event) -> Arrivals:
        before = arrivals or Arrivals(event.study, event.series, event.at, event.at, version=0)
        delivery = event.delivery or ""
        counts = {**before.deliveries, delivery: before.deliveries.get(delivery, 0) + 1}
        return replace(
            before.paused(before.ended_at, event.at),
            due_at=event.at + self.quiet,
            received_at=event.at,
            deliveries=counts,
            version=before.version + 1,
            sender=sender_of(event.origin),
            ended_at=None,
        )

    def _ended(self, arrivals: Arrivals, event: Event, wait: timedelta | None) -> Arrivals:
        others = {name: count for name, count in arrivals.deliveries.items() if name != event.delivery}
        brought = arrivals.deliveries.get(event.delivery or "", 0)
        due_at, ended_at = arrivals.due_at, arrivals.ended_at
        if brought and not others:
            ended_at = event.at
            if wait is not None:
                due_at = event.at + wait
            elif brought > 1:
                due_at = min(due_at, event.at + self.settle)
        version = arrivals.version + 1
        return replace(arrivals, due_at=due_at, deliveries=others, version=version, ended_at=ended_at)
