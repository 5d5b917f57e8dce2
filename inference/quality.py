"""How good models are where they work: what they were run on, and what people said of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from inference.governance import Decisions, GovernedModels, Standing


@dataclass(frozen=True, slots=True)
class Observation:
    """One report of a model, and what it was run on."""

    result: str
    """SOP Instance UID of the report."""
    model: str
    version: str
    series: str
    at: datetime
    manufacturer: str = ""
    scanner: str = ""
    """Manufacturer's Model Name."""
    age: float | None = None
    """Years."""
    spacing: float | None = None
    """In plane, mm."""
    kvp: float | None = None
    findings: int = 0
    """How many are present."""
    latency: float | None = None
    """Seconds from the last image to the stored report."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """How many findings got which verdict; of each finding the last one counts."""

    accepted: int = 0
    corrected: int = 0
    rejected: int = 0
    missed: int = 0
    """What people found where the model looked for the same and did not."""

    @property
    def judged(self) -> int:
        return self.accepted + self.corrected + self.rejected

    @property
    def acceptance(self) -> float | None:
        """The share of the findings judged that were taken as they are."""
        return self.accepted / self.judged if self.judged else None

    @property
    def agreement(self) -> float | None:
        """The share on which model and people agree that there is something: corrected ones are."""
        every = self.judged + self.missed
        return (self.accepted + self.corrected) / every if every else None


@dataclass(frozen=True, slots=True)
class Figures:
    """The quality of one version of a model, on one scanner in one month where these are told apart."""

    model: str
    version: str
    results: int
    findings: int
    verdicts: Verdicts
    latency: float | None = None
    """Mean, in seconds."""
    manufacturer: str = ""
    scanner: str = ""
    month: str = ""
    """YYYY-MM."""


@dataclass(frozen=True, slots=True)
class Drift:
    """How inputs and scores of one version of a model lay in one month: counts by bin."""

    model: str
    version: str
    month: str
    histograms: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Floor:
    """The agreement under which a model must not go on by itself."""

    model: str
    version: str
    agreement: float
    least: int
    """So many findings must have been judged before the figure counts."""
    since: datetime | None = None
    """When it was last decided that the model runs: only reports from then on count, so that a person who
    enables a paused model is not overruled by what was known."""


class _Figures(Protocol):
    def totals(self, model: str | None = None, since: datetime | None = None) -> Sequence[Figures]: ...


class _Decisions(Protocol):
    def record(
        self, model: str, standing: Standing, *, by: str, version: str | None = None, reason: str = ""
    ) -> object: ...


def floors_of(models: GovernedModels, decisions: Decisions) -> list[Floor]:
    """What the cards of the models that run say of their quality, since it was decided that they run."""
    decided = {name: decision.at for name, decision in decisions.latest().items()}
    return [
        Floor(card.name, card.version, card.quality.floor, card.quality.min_count, decided.get(card.name))
        for card in models.cards()
        if card.quality is not None
    ]


def pause_below(floors: Sequence[Floor], figures: _Figures, decisions: _Decisions) -> list[str]:
    """Pause every model whose agreement fell under its floor; the names of those.

    Args:
        floors: of the models that run.
        figures: what people said.
        decisions: where the pause is written, with its reason.
    """
    paused = []
    for floor in floors:
        totals = figures.totals(floor.model, floor.since)
        said = next((each.verdicts for each in totals if each.version == floor.version), Verdicts())
        agreement, judged = said.agreement, said.judged + said.missed
        if agreement is None or judged < floor.least or agreement >= floor.agreement:
            continue
        reason = (
            f"agreement of version {floor.version} is {agreement:.0%} over {judged} findings, "
            f"under the floor of its card, {floor.agreement:.0%}"
        )
        decisions.record(floor.model, Standing.PAUSED, by="quality", reason=reason)
        paused.append(floor.model)
    return paused
