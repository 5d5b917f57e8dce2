"""What a list of studies says of each: how far the models are, and what they found."""

from dataclasses import dataclass
from enum import StrEnum


class AiState(StrEnum):
    """One word for all work on a study, in the order in which a reader wants to know it."""

    FAILED = "failed"
    """A model failed for good: a person must look."""
    RUNNING = "running"
    """Work is planned or under way."""
    FOUND = "found"
    """A model says that something is present."""
    NOTHING = "nothing"
    """Models answered, and none says that something is present."""
    REFUSED = "refused"
    """The images are not what the models are for."""
    NO_MODEL = "no model"
    """No model applies."""


class ReviewState(StrEnum):
    """How far the people are."""

    OPEN = "open"
    """A finding waits for a verdict."""
    JUDGED = "judged"
    """Every finding has one; nobody has signed."""
    SIGNED = "signed"
    """A verified report is stored, and nothing has come since."""
    NOTHING = "nothing"
    """There is nothing to judge."""


@dataclass(frozen=True, slots=True)
class Label:
    """A finding that is present, and how often."""

    value: str
    scheme: str
    meaning: str
    count: int
    score: float | None = None
    """The highest one."""


@dataclass(frozen=True, slots=True)
class Overview:
    """The work on one study, and its results."""

    state: AiState = AiState.NO_MODEL
    progress: int | None = None
    """Percent of all work on the study, while it is running."""
    reasons: tuple[str, ...] = ()
    """Why work failed or was refused, one sentence each."""
    labels: tuple[Label, ...] = ()
    flagged: bool = False
    """A result has a reason for doubt."""
    review: ReviewState = ReviewState.NOTHING
    to_judge: int = 0
    """Findings that need a verdict, or have one."""
    judged: int = 0
    """Those that have one."""
    critical: int = 0
    """Critical findings that nobody has acknowledged."""
