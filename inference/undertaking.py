"""What a work item asks for: the model, the images, and what was there before."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from pydicom import dcmread

from inference.inputs import InputImages, are_all_there, stored_images
from inference.records import FindingRecord
from inference.results.context import Report, ResultContext
from inference.results.reading import read_findings
from inference.selection import Chosen, Selection
from inference.triggers import model_reference, work_for
from inference.workitems import NewWorkItem, State, WorkItem
from inference.workitems_sql import SqlWorkItems
from models.card import Card
from storage.archive import Archive
from storage.errors import UnknownInstance


class Models(Protocol):
    """The models that may run."""

    def cards(self) -> Sequence[Card]: ...

    def get(self, name: str) -> Card: ...


class Superseded(Exception):
    """What the work item is about is no longer what is there; the message says why."""


@dataclass(frozen=True, slots=True)
class Undertaking:
    """A work item with all that is needed to carry it out."""

    item: WorkItem
    card: Card
    images: tuple[InputImages, ...]
    context: ResultContext

    @property
    def size(self) -> int:
        """Bytes of the images as they are stored."""
        return sum(each.size for some in self.images for each in some.instances)


@dataclass(frozen=True, slots=True)
class Stored:
    """The results of an earlier try that ended between storing them and saying so."""

    results: tuple[str, ...]
    findings: tuple[FindingRecord, ...]


class Undertakings:
    """Finds out what work items ask for.

    Args:
        archive: where images and results are.
        work: the work list.
        catalog: the models.
        shadows: the versions that run in shadow.
        clock: the time now, aware.
    """

    def __init__(
        self,
        archive: Archive,
        work: SqlWorkItems,
        catalog: Models,
        shadows: Callable[[], Sequence[Card]],
        clock: Callable[[], datetime],
    ) -> None:
        self._archive = archive
        self._work = work
        self._catalog = catalog
        self._shadows = shadows
        self._clock = clock

    def of(self, item: WorkItem) -> Undertaking:
        """The very model and images that the item was made for.

        Raises:
            Superseded: one of them is no longer what it was; where there is a newer model, its work is
                scheduled.
            CardError, ModelStopped: there is no such model, or it does not run.
        """
        context = ResultContext(item.uid, item.created_at, self._predecessor(item))
        return Undertaking(item, self._card(item), self._images(item), context)

    def stored_before(self, item: WorkItem) -> Stored | None:
        """What an earlier try has stored, if the report is there: it is stored last."""
        report = ResultContext(item.uid, item.created_at).report
        try:
            stored = self._archive.instance(report)
        except UnknownInstance:
            return None
        with self._archive.open(stored) as file:
            records = read_findings(dcmread(file))
        masks = dict.fromkeys(record.segment.sop for record in records if record.segment)
        return Stored((report, *masks), tuple(records))

    def _card(self, item: WorkItem) -> Card:
        """The very model that the item was made for; where there is a newer one, its work is scheduled."""
        if item.shadow:
            return self._in_shadow(item)
        card = self._catalog.get(item.model.name)
        current = model_reference(card)
        if current == item.model:
            return card
        news = self._again(card, item)
        for new in news:
            self._work.create_if_absent(new)
        where = "".join(f", see {new.uid}" for new in news)
        raise Superseded(f"{card.name} is at version {card.version} now{where}")

    def _again(self, card: Card, item: WorkItem) -> list[NewWorkItem]:
        """The work of another version: on the same images, or on those that its inputs take."""
        inputs = self._work.inputs(item.uid)
        if len(card.images) == len(inputs.parts) == 1:
            chosen = [Chosen(inputs, item.attributes)]
        else:
            chosen = self._chosen_anew(card, item)
        work = (work_for(card, each, self._clock(), item.priority) for each in chosen)
        return [replace(new, received_at=item.received_at) for new in work]

    def _chosen_anew(self, card: Card, item: WorkItem) -> list[Chosen]:
        try:
            return Selection(self._archive).in_study(card, item.study, item.series)
        except UnknownInstance:
            return []

    def _in_shadow(self, item: WorkItem) -> Card:
        for card in self._shadows():
            if model_reference(card) == item.model:
                return card
        raise Superseded(f"{item.model.name} {item.model.version} does not run in shadow any more")

    def _images(self, item: WorkItem) -> tuple[InputImages, ...]:
        """The very images that the item was made for."""
        inputs = self._work.inputs(item.uid)
        images = stored_images(self._archive, inputs)
        if not are_all_there(images, inputs):
            raise Superseded("images were deleted or replaced since")
        return tuple(images)

    def _predecessor(self, item: WorkItem) -> Report | None:
        """The report that this one supersedes: that of the last earlier item that came to one."""
        earlier = item.predecessor
        while earlier is not None:
            before = self._work.get(earlier)
            if before.state is State.COMPLETED and before.results:
                return self._report(before.results[0])
            earlier = before.predecessor
        return None

    def _report(self, sop: str) -> Report | None:
        try:
            key = self._archive.instance(sop).key
        except UnknownInstance:
            return None
        return Report(key.study, key.series, key.sop)
