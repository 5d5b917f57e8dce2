"""Which models run, in which version, and who decided so: every decision is kept."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from models.card import Card
from models.catalog import BrokenPackage, Catalog
from models.errors import CardError, ModelsError
from models.external import ExternalCard


class Standing(StrEnum):
    """What a decision says of a model."""

    ENABLED = "enabled"
    """It runs on what arrives."""
    DISABLED = "disabled"
    """It does not, because a person decided so."""
    PAUSED = "paused"
    """It does not, because its quality fell under its floor; a person enables it again."""
    SHADOW = "shadow"
    """This version runs beside the one that counts; its results are for comparison alone. Without a version:
    none does any more."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision about a model."""

    model: str
    version: str | None
    """The version that runs from now on, by itself or in shadow; None: the latest that is there, or none in
    shadow."""
    standing: Standing
    by: str
    reason: str
    at: datetime


class ModelStopped(ModelsError):
    """The model is there and must not run; the message says since when, by whom, and why."""


class Decisions(Protocol):
    """Where decisions are kept."""

    def latest(self) -> Mapping[str, Decision]:
        """The decision in force for each model that there is one for; those on its shadow left out."""
        ...

    def shadows(self) -> Mapping[str, str]:
        """Name of the model → its version that is in shadow, where there is one."""
        ...

    def history(self, model: str) -> Sequence[Decision]:
        """All decisions on a model, the newest first."""
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

    def shadows(self) -> list[Card]:
        """The versions that run in shadow, beside one that counts."""
        running, decided = self.cards(), self._decisions.shadows()
        return [
            card
            for current in running
            for card in self.catalog.versions()
            if card.name == current.name
            and card.version == decided.get(card.name)
            and card.version != current.version
        ]

    def in_shadow(self, name: str) -> Card:
        """The version of a model that runs in shadow; raises `CardError` when there is none."""
        for card in self.shadows():
            if card.name == name:
                return card
        raise CardError(f"no version of {name!r} runs in shadow")

    def before(self, name: str) -> Card:
        """The version of a model that was decided on before the one that runs.

        Raises:
            CardError: there is none, or its package is not there any more.
        """
        current = self.chosen(name, self._decisions.latest().get(name))
        enabled = (each for each in self._decisions.history(name) if each.standing is Standing.ENABLED)
        versions = (each.version for each in enabled if each.version is not None)
        running = current.version if current else None
        earlier = next((version for version in versions if version != running), None)
        if earlier is None:
            raise CardError(f"no other version of {name!r} was decided on before")
        return self.catalog.get(name, earlier)

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
