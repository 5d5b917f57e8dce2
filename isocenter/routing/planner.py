"""Reads what happened to the archive, and queues what the rules ask for."""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType

from isocenter.routing.queue_sql import SqlShipments
from isocenter.routing.rules import Identity, NoticeRule, PrefetchRule, Rule
from isocenter.routing.shipments import Chosen, Wish
from isocenter.routing.subjects import Subjects
from storage.archive import Archive
from storage.events import Event

log = logging.getLogger(__name__)

_EVENTS_AT_ONCE = 500


class Planner:
    """Turns events into shipments; what it knows is in the database, and any number of them may run."""

    def __init__(
        self,
        archive: Archive,
        subjects: Subjects,
        queue: SqlShipments,
        rules: Sequence[Rule],
        identities: Mapping[str, Identity],
        *,
        prefetches: Sequence[PrefetchRule] = (),
        notices: Sequence[NoticeRule] = (),
        results: Mapping[str, Collection[str]] = MappingProxyType({}),
        settle: timedelta,
    ) -> None:
        """Take what is needed.

        Args:
            archive: whose events are read.
            subjects: what they are about.
            queue: where shipments wait.
            rules: that choose.
            identities: of the destinations, by name: nothing is sent back to where it came from.
            prefetches: rules of which priors to fetch.
            notices: rules of what to tell peers.
            results: SOP classes of what models made that a destination takes; those not named take all.
            settle: how long a new shipment waits for more of its study.
        """
        self._archive = archive
        self._subjects = subjects
        self._queue = queue
        self._rules = rules
        self._identities = identities
        self._prefetches = prefetches
        self._notices = notices
        self._results = results
        self._settle = settle

    def begin(self) -> None:
        """From now on events are read; what was stored before the first time is not sent."""
        if self._queue.cursor() is None:
            self._queue.begin(self._archive.last_cursor())

    def poll(self, now: datetime) -> bool:
        """Queue what is new; whether there may be more. Raises `StorageDown`: poll again."""
        before = self._queue.cursor()
        events = self._archive.events(before, _EVENTS_AT_ONCE) if before else []
        if not before or not events:
            return False
        chosen = [each for event in events for each in self._chosen(event)]
        self._queue.add(before, events[-1].cursor, chosen, now, self._settle)
        return len(events) == _EVENTS_AT_ONCE

    def _chosen(self, event: Event) -> Iterator[Chosen | Wish]:
        for notice in self._notices:
            if notice.is_about(event):
                yield Wish("notice", notice.name, event.study, again=True)
        rules = [rule for rule in self._rules if rule.is_about(event)]
        prefetches = [each for each in self._prefetches if each.is_about(event)]
        subject = self._subjects.of(event) if rules or prefetches else None
        if subject is None:
            return
        header, sop_class = subject
        for each in prefetches:
            if each.rule.matches(header):
                yield Wish("prefetch", each.rule.name, event.study)
        if event.sop is None:
            return
        by_destination = {name: rule.name for rule in rules if rule.matches(header) for name in rule.to}
        for name, rule in by_destination.items():
            if self._identities[name].brought(event.origin):
                log.debug("%s is not sent back to %s", event.sop, name)
            elif self._takes(name, event, sop_class):
                yield Chosen(name, rule, event.study, event.sop)

    def _takes(self, destination: str, event: Event, sop_class: str) -> bool:
        """What a model made goes where this kind of result is wanted."""
        wanted = self._results.get(destination)
        return wanted is None or event.origin.protocol != "inference" or sop_class in wanted
