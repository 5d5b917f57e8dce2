"""When is a series complete? Few modalities say so for certain (MPPS), so each event moves a due time."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

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


@dataclass(frozen=True, slots=True)
class Completeness:
    """The waiting times.

    A delivery that ends after several instances of the series, with no other under way, is a good sign that
    all are there. One that brought a single instance is not: some modalities open an association per image.
    """

    quiet: timedelta = timedelta(seconds=5)
    """After the last image, when no delivery has ended well."""
    settle: timedelta = timedelta(seconds=1)
    """After the end of a delivery of several instances."""

    def after(self, arrivals: Arrivals | None, event: Event) -> Arrivals | None:
        """The state after `event`, None when the series is not waiting for anything."""
        if event.kind in ARRIVALS:
            return self._arrived(arrivals, event)
        if event.kind == "delivery.ended" and arrivals is not None:
            return self._ended(arrivals, event)
        if event.kind == "series.performed" and arrivals is not None:
            return replace(arrivals, version=arrivals.version + 1)
        return arrivals

    def judged(self, arrivals: Arrivals, missing: int, now: datetime) -> Arrivals:
        """The state when the modality has told how many instances there are.

        Args:
            arrivals: the state that the events left.
            missing: how many of those instances have not come.
            now: when all are there, the series is complete.
        """
        if missing:
            return replace(arrivals, due_at=max(arrivals.due_at, arrivals.received_at + self.quiet))
        return replace(arrivals, due_at=min(arrivals.due_at, now))

    def _arrived(self, arrivals: Arrivals | None, event: Event) -> Arrivals:
        before = arrivals or Arrivals(event.study, event.series, event.at, event.at, version=0)
        delivery = event.delivery or ""
        counts = {**before.deliveries, delivery: before.deliveries.get(delivery, 0) + 1}
        return replace(
            before,
            due_at=event.at + self.quiet,
            received_at=event.at,
            deliveries=counts,
            version=before.version + 1,
        )

    def _ended(self, arrivals: Arrivals, event: Event) -> Arrivals:
        others = {name: count for name, count in arrivals.deliveries.items() if name != event.delivery}
        brought = arrivals.deliveries.get(event.delivery or "", 0)
        due_at = arrivals.due_at
        if brought > 1 and not others:
            due_at = min(due_at, event.at + self.settle)
        return replace(arrivals, due_at=due_at, deliveries=others, version=arrivals.version + 1)
