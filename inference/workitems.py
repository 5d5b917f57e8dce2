"""Work items: one model over one set of instances, as a Unified Procedure Step (PS3.4 Annex CC)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any

from inference.inputs import Inputs
from inference.records import FindingRecord
from inference.uids import uid_from


class WorkItemError(Exception):
    """The base of what the work list raises; `str(error)` says what is wrong."""


class UnknownWorkItem(WorkItemError):
    """There is no work item of this UID (PS3.4 CC.2.1.3, status C307)."""

    def __init__(self, uid: str) -> None:
        super().__init__(f"no work item {uid}")
        self.uid = uid


class IllegalTransition(WorkItemError):
    """The work item's state does not allow this change (PS3.4 table CC.1.1-2)."""


class LeaseLost(WorkItemError):
    """Somebody else holds this work item now: the transaction UID is no longer the right one (C301)."""


class State(StrEnum):
    """Procedure Step State (0074,1000)."""

    SCHEDULED = "SCHEDULED"
    IN_PROGRESS = "IN PROGRESS"
    COMPLETED = "COMPLETED"
    CANCELED = "CANCELED"


# PS3.4 table CC.1.1-2. A step that nobody began is also cancelled by way of IN PROGRESS (CC.2.2.3), and one
# that is retried stays IN PROGRESS: there is no way back to SCHEDULED.
TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.SCHEDULED: frozenset({State.IN_PROGRESS}),
    State.IN_PROGRESS: frozenset({State.COMPLETED, State.CANCELED}),
    State.COMPLETED: frozenset(),
    State.CANCELED: frozenset(),
}
FINAL = frozenset(state for state, following in TRANSITIONS.items() if not following)


class Priority(IntEnum):
    """Scheduled Procedure Step Priority (0074,1200), most urgent first."""

    HIGH = 1
    MEDIUM = 2
    LOW = 3


class Performer(StrEnum):
    """Who carries out a work item."""

    WORKER = "worker"
    """One of our own workers."""
    OUTSIDE = "outside"
    """An engine of somebody else, which claims it by a change of state (PS3.4 CC.2.1)."""


RESOURCES = ("cpu", "gpu")
"""What a worker may have to have for a work item."""


class Outcome(StrEnum):
    """How a work item ended."""

    RESULTS = "results"
    """COMPLETED: the result objects are stored, also when they say that nothing was found."""
    REFUSED = "refused"
    """CANCELED: the input is not what the model may be used on; asking again gives the same answer."""
    FAILED = "failed"
    """CANCELED: tried as often as allowed, or broken for good; a person must look."""
    SUPERSEDED = "superseded"
    """CANCELED before it began, because more or other images of the series arrived."""
    WITHDRAWN = "withdrawn"
    """CANCELED by request."""


@dataclass(frozen=True, slots=True)
class ModelReference:
    """Which model: a changed file or a changed card is another model."""

    name: str
    version: str
    digest: str
    """SHA-256 (hex) of the ONNX file."""
    card_digest: str
    """SHA-256 (hex) of the card: its thresholds and preprocessing are the parameters of the run."""


def work_item_uid(model: ModelReference, inputs: Inputs) -> str:
    """The UID of the work item for this model over these inputs, the same whenever it is made."""
    return uid_from("work item", model.digest, model.card_digest, inputs.series, inputs.fingerprint)


@dataclass(frozen=True, slots=True)
class WorkItem:
    """One row of the work list; times are aware and in UTC."""

    uid: str
    """SOP Instance UID of the Unified Procedure Step."""
    model: ModelReference
    study: str
    series: str
    fingerprint: str
    instances: int
    """How many instances the model gets."""
    priority: Priority
    state: State
    created_at: datetime
    due_at: datetime
    """Not before this time; after a failure the time of the next try."""
    received_at: datetime | None = None
    """When the last of the images arrived."""
    attempts: int = 0
    lease_until: datetime | None = None
    """Until when the worker holds it unless it renews."""
    transaction: str | None = None
    """Transaction UID (0008,1195) of whoever holds it."""
    worker: str = ""
    progress: int = 0
    """Procedure Step Progress (0074,1004) in percent."""
    progress_note: str = ""
    outcome: Outcome | None = None
    reason: str = ""
    """Why it was refused, failed, superseded or withdrawn, or why the last try failed."""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    timings: Mapping[str, float] = field(default_factory=dict)
    """Seconds by step."""
    results: tuple[str, ...] = ()
    """SOP Instance UIDs of the stored result objects, the SR first."""
    predecessor: str | None = None
    """UID of the work item of the same model that this one supersedes."""
    label: str = ""
    """Procedure Step Label (0074,1204)."""
    performer: Performer = Performer.WORKER
    resource: str = "cpu"
    """What a worker must have to take it: `cpu` or `gpu`."""
    readiness: str = "READY"
    """Input Readiness State (0040,4041)."""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """What others have said of it, and of whom it is, in the DICOM JSON Model."""
    shadow: bool = False
    """The model runs beside the version that counts, and its results are for comparison alone."""

    def as_json(self) -> dict[str, object]:
        """Everything as values that `json.dumps` takes; times in ISO 8601."""
        return {
            "uid": self.uid,
            "label": self.label,
            "shadow": self.shadow,
            "performer": self.performer.value,
            "resource": self.resource,
            "model": self.model.name,
            "version": self.model.version,
            "model_digest": self.model.digest,
            "card_digest": self.model.card_digest,
            "study": self.study,
            "series": self.series,
            "fingerprint": self.fingerprint,
            "instances": self.instances,
            "priority": self.priority.name,
            "state": self.state.value,
            "outcome": self.outcome.value if self.outcome else None,
            "reason": self.reason,
            "attempts": self.attempts,
            "worker": self.worker,
            "progress": self.progress,
            "progress_note": self.progress_note,
            "received_at": _iso(self.received_at),
            "created_at": _iso(self.created_at),
            "due_at": _iso(self.due_at),
            "started_at": _iso(self.started_at),
            "finished_at": _iso(self.finished_at),
            "timings": dict(self.timings),
            "results": list(self.results),
            "predecessor": self.predecessor,
        }


@dataclass(frozen=True, slots=True)
class NewWorkItem:
    """What the work list needs to know to schedule a work item."""

    model: ModelReference
    inputs: Inputs
    due_at: datetime
    priority: Priority = Priority.MEDIUM
    received_at: datetime | None = None
    performer: Performer = Performer.WORKER
    resource: str = "cpu"
    subject: Mapping[str, Any] = field(default_factory=dict)
    """What the procedure step says of the patient, in the DICOM JSON Model."""
    repeats: str | None = None
    """UID of the work item that ended without results and is done again."""
    shadow: bool = False
    """For comparison alone."""

    @property
    def uid(self) -> str:
        # A step that has ended stays as it is (PS3.4 CC.1.1): its repetition is another one.
        if self.repeats:
            return uid_from("again", self.repeats)
        # A version that leaves the shadow runs on the same images again, for all to see.
        uid = work_item_uid(self.model, self.inputs)
        return uid_from("shadow", uid) if self.shadow else uid


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


@dataclass(frozen=True, slots=True)
class Completed:
    """A work item that came to results."""

    uid: str
    transaction: str
    """Under which it is held."""
    results: Sequence[str]
    """SOP Instance UIDs, the report first; none of what ran in shadow."""
    findings: Sequence[FindingRecord]
    timings: Mapping[str, float]
    """Seconds by step."""
