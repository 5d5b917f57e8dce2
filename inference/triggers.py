"""Which model runs on what, and when: events become series that wait, these become work items."""

import json
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from inference.completeness import ARRIVALS, Arrivals, Completeness
from inference.expected import expected_images
from inference.pace import learnt_wait, peer_of, sender_of
from inference.selection import Chosen, Selection
from inference.ups.data_set import subject_of
from inference.workitems import ModelReference, NewWorkItem, Performer, Priority
from inference.workitems_sql import SqlWorkItems, utc_now
from models.card import Card
from models.external import ExternalCard
from storage.archive import Archive
from storage.errors import StorageDown, UnknownInstance
from storage.events import Event
from storage.pixels.attributes import Attributes

log = logging.getLogger(__name__)

CURSOR = "triggers"
# Results of models are no input of models, and what is only indexed anew has been through here before.
SILENT = frozenset({"inference", "review", "reindex"})
_AGAIN = timedelta(minutes=1)


class Models(Protocol):
    """The models that may run."""

    def cards(self) -> Sequence[Card]: ...
    def external(self) -> Sequence[ExternalCard]: ...


class Performed(Protocol):
    """What modalities have told of their series."""

    def missing(self, series: str) -> int | None:
        """How many instances of a series have not come; None when nothing was told."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What is done with a series that a model is for."""

    due_at: datetime
    """When the work may begin."""
    priority: Priority = Priority.MEDIUM
    run: bool = True


Rules = Callable[[str, str, Attributes, datetime], Ruling]
"""Name of a model, AE title or program that brought a series, header of an image of it, time now."""


def as_cards_say(_model: str, _sender: str, _header: Attributes, now: datetime) -> Ruling:
    """What is done where there are no further rules."""
    return Ruling(now)


class Triggers:
    """Reads the archive's events and schedules work; everything it knows is in the database.

    Every step is one transaction that either moves its cursor or row or changes nothing, so it may be killed
    at any moment and run in several processes at once.

    Args:
        archive: whose events are read.
        work: where work items are created.
        catalog: the models.
        settle: seconds between the end of a delivery of several instances and the series being complete.
        quiet: seconds after the last instance of a series otherwise; both until a sender's ways are known.
        performed: what modalities have told; None when they tell nothing.
        shadows: the versions that run in shadow.
        rules: what is done with a series that a model is for.
        clock: the time now, aware.
    """

    def __init__(
        self,
        archive: Archive,
        work: SqlWorkItems,
        catalog: Models,
        *,
        settle: float = 1.0,
        quiet: float = 5.0,
        performed: Performed | None = None,
        shadows: Callable[[], Sequence[Card]] = tuple,
        rules: Rules = as_cards_say,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._archive = archive
        self._work = work
        self._catalog = catalog
        self._rules = rules
        self._settle = timedelta(seconds=settle)
        self._completeness = Completeness(timedelta(seconds=quiet), self._settle)
        self._performed = performed
        self._shadows = shadows
        self._clock = clock

    def poll(self) -> list[str]:
        """Read what is new, schedule what is due; UIDs of the work items that are new.

        Raises:
            StorageDown: the database did not answer; nothing is lost, poll again.
        """
        while self._read_events():
            pass
        return [uid for arrivals in self._work.arrivals.due(self._clock()) for uid in self._begin(arrivals)]

    def _read_events(self, limit: int = 1000) -> bool:
        """Fold the next events into the series that wait; whether there may be more."""
        before = self._work.arrivals.cursor(CURSOR)
        events = self._archive.events(before, limit)
        if not events:
            return False
        heard = [event for event in events if event.origin.protocol not in SILENT]
        known = self._work.arrivals.waiting(event.series for event in heard)
        changed = self._folded(known, heard)
        deleted = [event.sop for event in events if event.kind == "instance.deleted" and event.sop]
        self._work.arrivals.advance(
            CURSOR, before, events[-1].cursor, known=known, changed=changed, deleted=deleted
        )
        return len(events) == limit

    def _folded(self, known: dict[str, Arrivals], events: Sequence[Event]) -> list[Arrivals]:
        state: dict[str, Arrivals | None] = dict(known)
        pauses = self._work.arrivals.pauses(sender_of(event.origin) for event in events)
        for event in events:
            wait = learnt_wait(pauses.get(sender_of(event.origin), ()), self._settle)
            after = self._completeness.after(state.get(event.series), event, wait)
            if after is not None and after.expected is None and event.kind in ARRIVALS:
                after = self._asked(after, event)
            state[event.series] = after
        return [
            self._judged(after)
            for series, after in state.items()
            if after is not None and after != known.get(series)
        ]

    def _asked(self, arrivals: Arrivals, event: Event) -> Arrivals:
        """What the image says of the number of images, and how long after the last known ones it comes."""
        try:
            image = self._archive.instance(str(event.sop))
            header = json.loads(next(self._archive.headers([image])))
            stored = [each.stored_at for each in self._archive.instances(arrivals.study, arrivals.series)]
        except UnknownInstance:
            return arrivals
        at = image.stored_at or event.at
        before = max((moment for moment in stored if moment and moment < at), default=None)
        return replace(arrivals, expected=expected_images(header)).paused(before, at)

    def _judged(self, arrivals: Arrivals) -> Arrivals:
        missing = self._performed.missing(arrivals.series) if self._performed else None
        if missing is not None:
            return self._completeness.judged(arrivals, missing, self._clock())
        if arrivals.expected is None or not arrivals.expected.images:
            return arrivals
        try:
            stored = self._archive.contents(arrivals.study, arrivals.series).instances
        except UnknownInstance:
            return arrivals
        return self._completeness.counted(arrivals, stored, self._clock())

    def _begin(self, arrivals: Arrivals) -> tuple[str, ...]:
        try:
            return self._work.create_for(arrivals, self._work_for(arrivals))
        except StorageDown:
            raise
        except Exception:
            # One series that cannot be judged must not hold up all others.
            log.exception("series %s: which models are for it could not be told", arrivals.series)
            self._work.arrivals.postpone(arrivals, _AGAIN)
            return ()

    def _cards(self) -> list[Card | ExternalCard]:
        return [*self._catalog.cards(), *self._catalog.external()]

    def _work_for(self, arrivals: Arrivals) -> list[NewWorkItem]:
        """The work items for the images of a series as they are now, and where others go with them."""
        selection = Selection(self._archive, self._incomplete)
        try:
            header = selection.header(arrivals.study, arrivals.series)
        except UnknownInstance:
            return []
        sender, now = peer_of(arrivals.sender), self._clock()
        cards = [*((card, False) for card in self._cards()), *((card, True) for card in self._shadows())]
        news: list[NewWorkItem] = []
        for card, shadow in cards:
            ruling = self._rules(card.name, sender, header, now)
            if ruling.run:
                # Nobody waits for a shadow.
                priority = Priority.LOW if shadow else ruling.priority
                chosen = selection.after(card, arrivals.study, arrivals.series)
                work = (work_for(card, each, ruling.due_at, priority) for each in chosen)
                news += [replace(new, shadow=shadow, received_at=arrivals.received_at) for new in work]
        return news

    def _incomplete(self, series: Collection[str]) -> set[str]:
        """Those of these series whose time has not come.

        Of several series that wait for each other whichever is due last finds the others due, in whatever
        process, whether or not their rows have been taken.
        """
        now = self._clock()
        return {uid for uid, each in self._work.arrivals.waiting(series).items() if each.due_at > now}


def work_for(
    card: Card | ExternalCard, chosen: Chosen, due_at: datetime, priority: Priority = Priority.MEDIUM
) -> NewWorkItem:
    """The work of a model on the images that were chosen for it."""
    if isinstance(card, Card):
        performer, resource = Performer.WORKER, card.runtime.resource
    else:
        performer, resource = Performer.OUTSIDE, "cpu"
    return NewWorkItem(
        model_reference(card),
        chosen.inputs,
        due_at,
        priority,
        performer=performer,
        resource=resource,
        subject=subject_of(chosen.header),
    )


def model_reference(card: Card | ExternalCard) -> ModelReference:
    """The model as work items name it; of one that is carried out elsewhere there is no file."""
    digest = card.model.sha256 if isinstance(card, Card) else ""
    return ModelReference(card.name, card.version, digest, card.digest)
