"""Which models run, in which version, and who decided so: every decision is kept."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from models.card import Card
from models.catalog import BrokenPackage, Catalog
from models.errors import ModelsError
from models.external import ExternalCard


class Standing(StrEnum):
    """What a decision says of a model."""

    ENABLED = "enabled"
    """It runs on what arrives."""
    DISABLED = "disabled"
    """It does not, because a person decided so."""
    PAUSED = "paused"
    """It does not, because its quality fell under its floor; a person enables it again."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision about a model."""

    model: str
    version: str | None
    """The version that runs from now on; None: the latest that is there."""
    standing: Standing
    by: str
    reason: str
    at: datetime


class ModelStopped(ModelsError):
    """The model is there and must not run; the message says since when, by whom, and why."""


class Decisions(Protocol):
    """Where decisions are kept."""

    def latest(self) -> Mapping[str, Decision]:
        """The decision in force for each model that there is one for."""
        ...


class GovernedModels:
    """The models of a catalogue that may run, in the versions decided on.

    A model that nobody decided on runs in its latest version.

    Args:
        catalog: the packages.
        decisions: what was decided.
        disabled: names that the settings switch off, whatever was decided.
    """

    def __init__(self, catalog: Catalog, decisions: Decisions, disabled: Collection[str] = ()) -> None:
        self.catalog = catalog
        self._decisions = decisions
        self._disabled = frozenset(disabled)

    def cards(self) -> list[Card]:
        """The models that run, in order of their names."""
        decided = self._decisions.latest()
        names = dict.fromkeys(card.name for card in self.catalog.versions())
        return [
            card
            for name in names
            if self._stopped(name, decided.get(name)) is None
            if (card := self.chosen(name, decided.get(name))) is not None
        ]

    def external(self) -> list[ExternalCard]:
        """The models that are carried out elsewhere and may be, in order of their names."""
        decided = self._decisions.latest()
        cards = self.catalog.external()
        return [card for card in cards if self._stopped(card.name, decided.get(card.name)) is None]

    def get(self, name: str) -> Card:
        """The model called `name` in the version that runs.

        Raises:
            CardError: there is none, or its package is broken.
            ModelStopped: it is there and must not run.
        """
        decision = self._decisions.latest().get(name)
        if stopped := self._stopped(name, decision):
            raise ModelStopped(stopped)
        return self.catalog.get(name, decision.version if decision else None)

    def broken(self) -> list[BrokenPackage]:
        """The packages that cannot be used."""
        return self.catalog.broken()

    def chosen(self, name: str, decision: Decision | None) -> Card | None:
        """The version of a model that runs, or would if it were enabled; None when it is not there."""
        wanted = decision.version if decision else None
        fitting = (card for card in self.catalog.versions() if card.name == name)
        return next((card for card in reversed([*fitting]) if wanted in {None, card.version}), None)

    def why_stopped(self, name: str) -> str | None:
        """Why a model does not run; None when it does."""
        return self._stopped(name, self._decisions.latest().get(name))

    def _stopped(self, name: str, decision: Decision | None) -> str | None:
        if name in self._disabled:
            return f"{name} is switched off by the settings (inference.disabled_models)"
        if decision is None or decision.standing is Standing.ENABLED:
            return None
        why = f": {decision.reason}" if decision.reason else ""
        return f"{name} is {decision.standing} since {decision.at:%Y-%m-%d %H:%M} UTC by {decision.by}{why}"
