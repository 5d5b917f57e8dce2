"""Finding records: what the result objects say, one row per measurement group.

The rows are an index over the structured reports: made from the same values when a report is written, and
from the report itself (`results.read_findings`) when the index is rebuilt.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from inference.findings import Code, Measurement, Presence, Score


@dataclass(frozen=True, slots=True)
class Region:
    """Where on which frame: an SCOORD (PS3.3 C.18.6)."""

    kind: Literal["point", "box"]
    sop: str
    frame: int
    """From 1."""
    points: tuple[float, ...]
    """Column and row by turns, in pixels, 0.0 being the outer edge of the first: one pair for a point; left,
    top, right, bottom for a box. Precision: float32, as GraphicData has."""


@dataclass(frozen=True, slots=True)
class SegmentReference:
    """One segment of a stored segmentation (Referenced Segment, PS3.16 TID 1411)."""

    sop: str
    number: int


@dataclass(frozen=True, slots=True)
class ImageReference:
    """One frame as a whole."""

    sop: str
    frame: int
    """From 1."""


@dataclass(frozen=True, slots=True)
class FindingRecord:
    """One measurement group of one stored report."""

    work_item: str
    study: str
    series: str
    """Series Instance UID of the images."""
    result: str
    """SOP Instance UID of the report."""
    model: str
    version: str
    key: str
    """Tracking Identifier: unique within the report."""
    tracking_uid: str
    code: Code
    presence: Presence
    site: Code | None = None
    laterality: Code | None = None
    score: Score | None = None
    measurements: tuple[Measurement, ...] = ()
    region: Region | None = None
    segment: SegmentReference | None = None
    image: ImageReference | None = None
    """The one frame it is about, where neither region nor segment says so; None for the whole input."""
    note: str = ""
    flags: tuple[str, ...] = ()
    """Reasons for doubt that are shown wherever the finding is shown."""

    def as_json(self) -> dict[str, object]:
        """Everything as values that `json.dumps` takes."""
        return asdict(self)


def code_of(value: Mapping[str, str] | None) -> Code | None:
    """The code in a dictionary made by `asdict`."""
    return Code(**value) if value else None


def measurement_of(value: Mapping[str, object]) -> Measurement:
    """The measurement in a dictionary made by `asdict`."""
    codes = {name: code_of(value[name]) for name in ("concept", "unit", "derivation", "method")}  # type: ignore[arg-type]
    return Measurement(value=float(value["value"]), **codes)  # type: ignore[arg-type]
