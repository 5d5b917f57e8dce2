"""What a model found, as values: everything a result object says is made from these."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from storage.instances import StoredInstance


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept: the Code Sequence Macro of PS3.3 8.8 with `scheme` as its Coding Scheme Designator."""

    value: str
    scheme: str
    meaning: str

    @property
    def names_certainty(self) -> bool:
        """A score of this name is a certainty: between 0 and 1 in a finding, in percent in a report."""
        return (self.value, self.scheme) in {("111012", "DCM"), ("122157", "DCM")}


@dataclass(frozen=True, slots=True)
class SourceFrame:
    """One frame that the model saw; `frame` counts from 1 (PS3.3 C.7.6.16)."""

    instance: StoredInstance
    frame: int = 1


@dataclass(frozen=True, slots=True)
class Measurement:
    """A number with its coded concept and its UCUM unit, always finite."""

    concept: Code
    value: float
    unit: Code
    derivation: Code | None = None
    """How the value was derived, e.g. mean or a percentile (PS3.16 TID 300, CID 7464)."""
    method: Code | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """What a model says of its own certainty; `value` between 0 and 1 for probabilities.

    `concept` is what the number may be called; a score that is no probability must not be called one.
    """

    value: float
    concept: Code


@dataclass(frozen=True, slots=True)
class Point:
    """A place on one frame.

    `column` and `row` are those of SCOORD (PS3.3 C.18.6.1.1): sub-pixel, 0.0 is the outer edge of the first
    pixel, so its centre lies at 0.5. `patient` is x, y, z in mm (LPS, PS3.3 C.7.6.2.1.1) where the frame has
    a position.
    """

    source: SourceFrame
    column: float
    row: float
    patient: tuple[float, float, float] | None = None
    diameter_mm: float | None = None


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on one frame; edges as `column` and `row` of `Point`, left < right and top < bottom."""

    source: SourceFrame
    left: float
    top: float
    right: float
    bottom: float


Presence = Literal["present", "absent", "not stated"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a model says about the images: one measurement group of an SR (PS3.16 TID 1410, 1411, 1501).

    `code` names the finding ("Nodule") or, for numbers about a segment, the structure measured ("Lung"; then
    `presence` is "not stated"). `key` is unique within the analysis and the same in every run over the same
    input: tracking identifiers are made from it.
    """

    key: str
    code: Code
    presence: Presence = "present"
    site: Code | None = None
    laterality: Code | None = None
    score: Score | None = None
    measurements: tuple[Measurement, ...] = ()
    geometry: Point | Box | None = None
    segment: int | None = None
    """Number of the `Segment` this finding is about."""
    note: str = ""
    """A sentence for the reader, from the card."""
    source: SourceFrame | None = None
    """The frame it is about, when it is about one and `geometry` does not say which."""
    critical: bool = False
    """The card says that somebody must acknowledge it."""


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """One segment of a mask over the source frames (PS3.3 C.8.20.2)."""

    number: int
    """From 1, without gaps within one analysis (Segment Number)."""
    label: str
    category: Code
    """Segmented Property Category (CID 7150), e.g. Organ."""
    type: Code
    """Segmented Property Type, e.g. Lung."""
    laterality: Code | None
    colour: tuple[int, int, int]
    """Recommended display colour, sRGB, 0..255 each."""
    labels: npt.NDArray[np.uint8]
    """Label map [frame, row, column], in the order and the pixel grid of `Analysis.frames`; shared by the
    segments that come from one output of the model."""
    values: tuple[int, ...]
    """The values in `labels` that make this segment; segments may share values (lungs: right and left)."""

    def mask(self, frame: int) -> npt.NDArray[np.bool_]:
        """Where this segment is on frame number `frame` of `Analysis.frames` (from 0): [row, column]."""
        chosen = np.zeros(256, np.bool_)
        chosen[list(self.values)] = True
        mask: npt.NDArray[np.bool_] = chosen[self.labels[frame]]
        return mask


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which model, exactly: what TID 4019 and a replay need."""

    name: str
    version: str
    title: str
    manufacturer: str
    digest: str
    """SHA-256 (hex) of the ONNX file."""
    card_digest: str
    """SHA-256 (hex) of the card, so that a changed threshold is another model."""
    runtime: tuple[tuple[str, str], ...] = ()
    """What ran it: `Runtime.describe` (runtime, version, provider, optimisation level)."""
    inputs: tuple[tuple[str, str], ...] = ()
    """What it ran on, where it has several inputs: their names, and the Series Instance UID of each."""


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """What one run of one model over one input came to.

    Either `refusal` says why there is no answer, or the findings and segments are the answer; with
    `findings` empty or all absent the answer is negative, and `looked_for` says what was looked for.
    """

    model: ModelIdentity
    sources: tuple[StoredInstance, ...]
    """Every instance that was read: those of `frames`, in that order, before those of other inputs."""
    frames: tuple[SourceFrame, ...] = ()
    """The frames of the model's first image input in order; the first axis of every segment's label map."""
    findings: tuple[Finding, ...] = ()
    segments: tuple[Segment, ...] = ()
    looked_for: tuple[Code, ...] = ()
    flags: tuple[str, ...] = ()
    """Reasons for doubt that must be shown with the result."""
    refusal: str | None = None
    """Why the model gives no answer on this input."""
    timings: dict[str, float] = field(default_factory=dict)
    """Seconds by step: prepare (reading and decoding included), model, interpret."""

    @property
    def is_negative(self) -> bool:
        """There is an answer, something was looked for, and nothing was found."""
        found = any(finding.presence == "present" for finding in self.findings)
        return self.refusal is None and bool(self.looked_for) and not found
