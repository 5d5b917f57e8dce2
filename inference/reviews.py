"""Reviews: what people say of findings. The history only grows: who changes their mind adds to it.

ReviewError
├── InvalidReview    the review itself makes no sense; the message says why
├── UnknownFinding   the study has no such finding
├── UnknownReview    the finding has no such review, or it was undone before
├── UnknownStudy     there is no such study
└── NotJudged        a report cannot be signed while findings wait for a verdict
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from inference.findings import Code, Measurement
from inference.records import FindingRecord, Region

PERSON_NAME_LENGTH = 64


class ReviewError(Exception):
    """The base of what reviews raise; `str(error)` says what is wrong."""


class InvalidReview(ReviewError):
    """The review itself makes no sense."""


class UnknownFinding(ReviewError):
    """The study has no such finding."""


class UnknownReview(ReviewError):
    """The finding has no such review, or it was undone before."""


class UnknownStudy(ReviewError):
    """There is no such study."""


class NotJudged(ReviewError):
    """A report cannot be signed while findings wait for a verdict."""

    def __init__(self, findings: Sequence[str]) -> None:
        """`findings` are the tracking UIDs of those that wait."""
        super().__init__(f"{len(findings)} findings are not judged yet")
        self.findings = tuple(findings)


class Verdict(StrEnum):
    """What a row of the history says."""

    ACCEPT = "accept"
    REJECT = "reject"
    CORRECT = "correct"
    """It is there, but its place, its name or a value is another."""
    MISSED = "missed"
    """A person found what no model did; the row holds the finding."""
    UNDO = "undo"
    """An earlier row does not count any more."""


@dataclass(frozen=True, slots=True)
class Reviewer:
    """A person as PN (PS3.5 6.2) and, where the installation knows one, an identifier."""

    name: str
    id: str = ""

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise InvalidReview("the reviewer's name is empty")
        if len(self.name) > PERSON_NAME_LENGTH or len(self.id) > PERSON_NAME_LENGTH:
            raise InvalidReview(f"the reviewer's name or id has more than {PERSON_NAME_LENGTH} characters")
        if any(not each.isprintable() or each in "\\=" for each in self.name):
            raise InvalidReview("the reviewer's name has characters that a person name cannot have")


@dataclass(frozen=True, slots=True)
class Correction:
    """What is different from the finding; None where nothing is."""

    code: Code | None = None
    measurements: tuple[Measurement, ...] | None = None
    """All of them, those that stay included."""
    region: Region | None = None

    def __bool__(self) -> bool:
        return any(each is not None for each in (self.code, self.measurements, self.region))

    def applied(self, record: FindingRecord) -> FindingRecord:
        """The finding as the reviewer would have it."""
        values = {name: getattr(self, name) for name in ("code", "measurements", "region")}
        changed = {name: value for name, value in values.items() if value is not None}
        if self.region is not None:
            changed |= {"segment": None, "image": None}
        return replace(record, **changed)


@dataclass(frozen=True, slots=True)
class NewReview:
    """A row to be added to the history; the finding is named by its tracking UID."""

    study: str
    finding: str
    verdict: Verdict
    reviewer: Reviewer
    comment: str = ""
    correction: Correction | None = None
    addition: FindingRecord | None = None
    """The finding itself, where a person added it."""
    undoes: int | None = None
    judged: FindingRecord | None = None
    """What was judged, so that the figures of a model outlive its reports."""
    object: str | None = None
    """SOP Instance UID of the object that brought the review, where it came as one."""


@dataclass(frozen=True, slots=True)
class Review:
    """A row of the history."""

    id: int
    finding: str
    verdict: Verdict
    reviewer: Reviewer
    at: datetime
    comment: str = ""
    correction: Correction | None = None
    addition: FindingRecord | None = None
    undoes: int | None = None
    object: str | None = None


@dataclass(frozen=True, slots=True)
class SignedReport:
    """A verified report, and what it stands on."""

    sr: str
    """SOP Instance UID."""
    study: str
    series: str
    """Series Instance UID of the report."""
    reviewer: Reviewer
    at: datetime
    reviews: Mapping[str, int]
    """Number of the review that counted, by the tracking UID of the finding."""
    drafts: tuple[str, ...]
    """SOP Instance UIDs of the AI reports that were judged."""


def standing(history: Sequence[Review]) -> dict[str, Review]:
    """The review that counts for each finding, by tracking UID: the last one that was not undone.

    Args:
        history: of one study, oldest first.
    """
    undone = {review.undoes for review in history}
    counts = (each for each in history if each.verdict is not Verdict.UNDO and each.id not in undone)
    return {review.finding: review for review in counts}


def additions(history: Sequence[Review]) -> tuple[FindingRecord, ...]:
    """What people found that no model did, and did not take back."""
    undone = {review.undoes for review in history}
    kept = (each for each in history if each.addition is not None and each.id not in undone)
    return tuple({each.finding: each.addition for each in kept if each.addition}.values())
