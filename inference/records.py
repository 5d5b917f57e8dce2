"""Finding records: what the result objects say, one row per measurement group.

The rows are an index over the structured reports: made from the same values when a report is written, and
from the report itself (`results.read_findings`) when the index is rebuilt.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from inference.findings import Code, Measurement, Presence, Score


@dataclass(frozen=True, slots=True)
class Region:
    """Where on which frame: an SCOORD (PS3.3 C.18.6)."""

    kind: Literal["point", "box", "polygon", "line"]
    sop: str
    frame: int
    """From 1."""
    points: tuple[float, ...]
    """Column and row by turns, in pixels, 0.0 being the outer edge of the first: one pair for a point; left,
    top, right, bottom for a box; the corners of a polygon, the first not repeated; the points of an open
    line. Precision: float32, as GraphicData has."""


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
    """One measurement group of one stored report, or what a person found that no model did."""

    work_item: str
    """Empty for what a person found, as are `model` and `version`."""
    study: str
    series: str
    """Series Instance UID of the images."""
    result: str
    """SOP Instance UID of the report; empty where there is none yet."""
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
    supersedes: str | None = None
    """SOP Instance UID of the report that its report supersedes."""
    critical: bool = False
    """Somebody must acknowledge it."""

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


def region_of(value: Mapping[str, Any] | None) -> Region | None:
    """The region in a dictionary made by `asdict`."""
    return Region(**{**value, "points": tuple(value["points"])}) if value else None


def record_of(value: Mapping[str, Any]) -> FindingRecord:
    """The record in a dictionary made by `as_json`."""
    score, segment, image = value["score"], value["segment"], value["image"]
    codes = {name: code_of(value[name]) for name in ("code", "site", "laterality")}
    return FindingRecord(
        **{
            **value,
            **codes,
            "score": Score(score["value"], Code(**score["concept"])) if score else None,
            "measurements": tuple(measurement_of(each) for each in value["measurements"]),
            "region": region_of(value["region"]),
            "segment": SegmentReference(**segment) if segment else None,
            "image": ImageReference(**image) if image else None,
            "flags": tuple(value["flags"]),
        }
    )
