"""Rectangles around what a detector found, as findings on their frames."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from inference.codes import code, optional_code
from inference.findings import Box, Finding, Score
from inference.outputs.rows import HALF, finite_rows
from inference.outputs.said import Answer, Said
from inference.prepare import Run
from models.errors import ModelError
from models.schema.outputs import BoxClass, BoxesOutput


@dataclass(frozen=True, slots=True)
class _Candidate:
    score: float
    kind: int
    """Index of its class."""
    slice: int
    left: float
    top: float
    right: float
    bottom: float
    """Edges in the model's grid."""

    @property
    def area(self) -> float:
        return (self.right - self.left) * (self.bottom - self.top)


def read_boxes(output: BoxesOutput, answer: Answer) -> Said:
    """The boxes that count, highest score first, and what must be said about those left out.

    Raises:
        ModelError: the output has not the columns that the card names, or a box is of an unknown class.
    """
    run, array = answer.run, answer.outputs[output.name]
    candidates = [each for each in _candidates(output, array, run) if _counts(each, output.classes)]
    candidates.sort(key=lambda each: (-each.score, each.kind, each.slice, each.top, each.left))
    apart = _apart(candidates, output.max_overlap)
    kept = apart[: output.max_count]
    doubts = []
    if len(apart) > len(kept):
        doubts.append(f"only the {len(kept)} highest of {len(apart)} boxes are listed")
    findings = tuple(_finding(output, each, run, rank) for rank, each in enumerate(kept, 1))
    return Said(findings, tuple(code(kind.code) for kind in output.classes), tuple(doubts))


def _candidates(output: BoxesOutput, array: npt.NDArray[Any], run: Run) -> list[_Candidate]:
    slices, height, width = run.placement.shape
    found = []
    for row in finite_rows(output.name, output.columns, array):
        kind = round(row.get("class", 0))
        if not 0 <= kind < len(output.classes):
            raise ModelError(f"output {output.name!r} has a box of class {kind}, the card names none such")
        across, down = sorted((row["x1"], row["x2"])), sorted((row["y1"], row["y2"]))
        left, right = (min(max(edge, 0.0), width) for edge in across)
        top, bottom = (min(max(edge, 0.0), height) for edge in down)
        found.append(_Candidate(row["score"], kind, round(row.get("z", 0)), left, top, right, bottom))
    return [each for each in found if each.area > 0 and 0 <= each.slice < slices]


def _counts(candidate: _Candidate, classes: tuple[BoxClass, ...]) -> bool:
    return candidate.score >= classes[candidate.kind].threshold


def _apart(candidates: Iterable[_Candidate], max_overlap: float) -> list[_Candidate]:
    """Greedy non-maximum suppression of candidates in falling order of score."""
    kept: list[_Candidate] = []
    for each in candidates:
        if all(_overlap(each, other) <= max_overlap for other in kept):
            kept.append(each)
    return kept


def _overlap(one: _Candidate, other: _Candidate) -> float:
    """Intersection over union; 0 for boxes of different classes or slices."""
    if (one.kind, one.slice) != (other.kind, other.slice):
        return 0.0
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / (one.area + other.area - shared)


def _finding(output: BoxesOutput, candidate: _Candidate, run: Run, rank: int) -> Finding:
    kind = output.classes[candidate.kind]
    return Finding(
        key=f"{kind.code.meaning} {rank}",
        code=code(kind.code),
        site=optional_code(kind.site),
        score=None if output.score is None else Score(candidate.score, code(output.score)),
        geometry=_box(candidate, run),
        note=output.note,
        critical=kind.critical,
    )


def _box(candidate: _Candidate, run: Run) -> Box:
    first, *one = _stored(run, candidate.slice, candidate.top, candidate.left)
    _, *other = _stored(run, candidate.slice, candidate.bottom, candidate.right)
    (top, bottom), (left, right) = (sorted(pair) for pair in zip(one, other, strict=True))
    frame = run.frames[min(max(round(first), 0), len(run.frames) - 1)]
    return Box(frame, left, top, right, bottom)


def _stored(run: Run, z: float, y: float, x: float) -> tuple[float, float, float]:
    """Slice, and edges of row and column on the stored frame, for those in the model's grid."""
    z, row, column = run.placement.to_image(z, y - HALF, x - HALF)
    _, rows, columns = run.placement.size
    row, column = min(max(row, -HALF), rows - HALF), min(max(column, -HALF), columns - HALF)
    if run.volume is not None:
        row, column = run.volume.in_plane.to_stored(row, column)
    return z, row + HALF, column + HALF
