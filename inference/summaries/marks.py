"""What is drawn where, and what is said of it in words."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from inference.findings import Analysis, Box, Finding, Measurement, Point, SourceFrame

MOST_FRAMES = 8
"""More pages nobody looks at: the surest findings come first."""
_LEAST_RADIUS = 6.0
_YELLOW = (255, 220, 0)

Colour = tuple[int, int, int]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Mark:
    """One thing that is drawn on a frame, in pixels of the image (SCOORD: 0.0 is the outer edge)."""

    shape: Point | Box | Mask
    """A mask is drawn as its outline."""
    colour: Colour
    caption: str

    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom."""
        if isinstance(self.shape, Box):
            return self.shape.left, self.shape.top, self.shape.right, self.shape.bottom
        if isinstance(self.shape, Point):
            x, y, r = self.shape.column, self.shape.row, _LEAST_RADIUS
            return x - r, y - r, x + r, y + r
        rows, columns = ndimage.find_objects(self.shape.astype(np.uint8))[0]
        return float(columns.start), float(rows.start), float(columns.stop), float(rows.stop)


@dataclass(frozen=True, slots=True, eq=False)
class Marked:
    """A frame with what is drawn on it."""

    source: SourceFrame
    marks: tuple[Mark, ...]


def marked_frames(analysis: Analysis) -> list[Marked]:
    """The frames on which something was found, with the surest first; of masks that with most of them."""
    marks: dict[SourceFrame, list[Mark]] = {}
    for finding in sorted(analysis.findings, key=_importance):
        if finding.presence == "present" and finding.geometry is not None:
            mark = Mark(finding.geometry, _YELLOW, said(finding))
            marks.setdefault(finding.geometry.source, []).append(mark)
    for source, mark in _segments(analysis):
        marks.setdefault(source, []).append(mark)
    return [Marked(source, tuple(some)) for source, some in list(marks.items())[:MOST_FRAMES]]


def _segments(analysis: Analysis) -> Iterator[tuple[SourceFrame, Mark]]:
    areas = [
        np.array([segment.mask(frame).sum() for frame in range(len(segment.labels))])
        for segment in analysis.segments
    ]
    most = int(np.argmax(sum(areas))) if areas else 0
    for segment, own in zip(analysis.segments, areas, strict=True):
        if own.any():
            # All on one frame where they can be.
            shown = most if own[most] else int(np.argmax(own))
            yield analysis.frames[shown], Mark(segment.mask(shown), segment.colour, segment.label)


def _importance(finding: Finding) -> tuple[bool, float]:
    return not finding.critical, -(finding.score.value if finding.score else 0.0)


def lines(analysis: Analysis) -> list[str]:
    """The result in words: what made it, what it found with its numbers, and doubts."""
    model = analysis.model
    head = [
        f"{model.title} ({model.name} {model.version})",
        "Made by software. Not verified by a person.",
        "",
    ]
    found = [said(each) for each in sorted(analysis.findings, key=_importance)]
    if not any(each.presence == "present" for each in analysis.findings) and analysis.looked_for:
        found = [
            f"Nothing found. Looked for: {', '.join(code.meaning for code in analysis.looked_for)}",
            *found,
        ]
    return [*head, *found, *(f"Caution: {flag}" for flag in analysis.flags)]


def said(finding: Finding) -> str:
    """One finding in a line."""
    places = (code.meaning for code in (finding.site, finding.laterality) if code)
    name = ", ".join([finding.code.meaning, *places])
    presence = {"present": "", "absent": "absent", "not stated": ""}[finding.presence]
    score = f"{finding.score.concept.meaning} {finding.score.value:.2f}" if finding.score else ""
    told = [presence, *(_measured(each) for each in finding.measurements), score]
    return f"{name}: {'; '.join(filter(None, told))}" if any(told) else name


def _measured(measurement: Measurement) -> str:
    how = f" ({measurement.derivation.meaning})" if measurement.derivation else ""
    unit = {"1": "", "[hnsf'U]": "HU"}.get(measurement.unit.value, measurement.unit.value)
    return f"{measurement.concept.meaning}{how} {measurement.value:.4g} {unit}".rstrip()
