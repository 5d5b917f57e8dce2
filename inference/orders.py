"""Work that a person asks for: a model on a study or a series, whatever the triggers did."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Protocol

from inference.triggers import work_for
from inference.workitems import NewWorkItem, Priority, State, WorkItem, WorkItemError
from inference.workitems_sql import SqlWorkItems, utc_now
from models.card import Card
from models.errors import ModelsError
from models.external import ExternalCard
from storage.archive import Archive
from storage.instances import StoredInstance


class UnknownModel(WorkItemError):
    """No model of this name can be run; the message says why."""


class NothingToDo(WorkItemError):
    """The model is for none of the images."""


@dataclass(frozen=True, slots=True)
class Ordered:
    """A work item, and whether it is new."""

    item: WorkItem
    is_new: bool


class Models(Protocol):
    """The models that may run."""

    def cards(self) -> Sequence[Card]: ...
    def external(self) -> Sequence[ExternalCard]: ...
    def get(self, name: str) -> Card: ...


class Ordering(Protocol):
    """Starts models by hand."""

    def run(
        self, model: str, study: str, series: str | None = None, priority: Priority = Priority.HIGH
    ) -> list[Ordered]: ...


class Orders:
    """Starts models by hand.

    Args:
        archive: where the images are.
        work: the work list.
        catalog: the models.
        clock: the time now, aware.
    """

    def __init__(
        self,
        archive: Archive,
        work: SqlWorkItems,
        catalog: Models,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._archive = archive
        self._work = work
        self._catalog = catalog
        self._clock = clock

    def run(
        self, model: str, study: str, series: str | None = None, priority: Priority = Priority.HIGH
    ) -> list[Ordered]:
        """Run `model` on what it is for in a study, or in one series of it.

        Work that ended without results is done again; other work that is known is not.

        Raises:
            UnknownModel: no model has this name.
            UnknownInstance: there is no such study or series.
            NothingToDo: the model is for none of the images.
        """
        card = self._card(model)
        stored = self._archive.instances(study, series)
        ordered = [
            self._ordered(new)
            for _, group in groupby(stored, key=lambda instance: instance.key.series)
            for new in self._work_for(card, group, priority)
        ]
        if not ordered:
            raise NothingToDo(f"{model} is for none of the images of {series or study}")
        return ordered

    def _card(self, name: str) -> Card | ExternalCard:
        cards: list[Card | ExternalCard] = [*self._catalog.cards(), *self._catalog.external()]
        for card in cards:
            if card.name == name:
                return card
        try:
            return self._catalog.get(name)
        except ModelsError as error:
            raise UnknownModel(str(error)) from error

    def _work_for(
        self, card: Card | ExternalCard, group: Iterable[StoredInstance], priority: Priority
    ) -> list[NewWorkItem]:
        instances = list(group)
        headers = [json.loads(header) for header in self._archive.headers(instances)]
        return work_for(card, instances, headers, self._clock(), priority)

    def _ordered(self, new: NewWorkItem) -> Ordered:
        if self._work.create_if_absent(new):
            return Ordered(self._work.get(new.uid), is_new=True)
        known = self._work.get(new.uid)
        if known.state is State.CANCELED:
            return Ordered(self._work.again(new.uid), is_new=True)
        return Ordered(known, is_new=False)
