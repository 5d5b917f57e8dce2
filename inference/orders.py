"""Work that a person asks for: a model on a study or a series, whatever the triggers did."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from inference.selection import Selection
from inference.triggers import work_for
from inference.workitems import NewWorkItem, Priority, State, WorkItem, WorkItemError
from inference.workitems_sql import SqlWorkItems, utc_now
from models.card import Card
from models.errors import ModelsError
from models.external import ExternalCard
from storage.archive import Archive


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
        selection = Selection(self._archive)
        chosen = selection.in_study(card, study, series)
        if not chosen:
            why = "".join(f"; {reason}" for reason in dict.fromkeys(selection.reasons))
            raise NothingToDo(f"{model} is for none of the images of {series or study}{why}")
        return [self._ordered(work_for(card, each, self._clock(), priority)) for each in chosen]

    def _card(self, name: str) -> Card | ExternalCard:
        cards: list[Card | ExternalCard] = [*self._catalog.cards(), *self._catalog.external()]
        for card in cards:
            if card.name == name:
                return card
        try:
            return self._catalog.get(name)
        except ModelsError as error:
            raise UnknownModel(str(error)) from error

    def _ordered(self, new: NewWorkItem) -> Ordered:
        if self._work.create_if_absent(new):
            return Ordered(self._work.get(new.uid), is_new=True)
        known = self._work.get(new.uid)
        if known.state is State.CANCELED:
            return Ordered(self._work.again(new.uid), is_new=True)
        return Ordered(known, is_new=False)
