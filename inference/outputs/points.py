"""Rows of candidates as findings on the frames they lie on."""

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from inference.codes import code, optional_code
from inference.findings import Code, Finding, Measurement, Point, Score, SourceFrame
from inference.outputs.rows import HALF, finite_rows
from inference.outputs.said import Answer, Said
from inference.prepare import Run
from models.schema.outputs import PointsOutput

MILLIMETRE = Code("mm", "UCUM", "mm")


@dataclass(frozen=True, slots=True)
class _Candidate:
    score: float
    z: float
    y: float
    x: float
    diameter: float | None


def read_points(output: PointsOutput, answer: Answer) -> Said:
    """The candidates that count, highest score first, and what must be said about those left out.

    Raises:
        ModelError: the output has not the columns that the card names.
    """
    run = answer.run
    candidates = [
        each for each in _candidates(output, answer.outputs[output.name]) if each.score >= output.threshold
    ]
    inside = [each for each in candidates if _is_inside(each, run)]
    inside.sort(key=lambda each: (-each.score, each.z, each.y, each.x))
    kept = inside[: output.max_count]
    doubts = []
    if len(inside) > len(kept):
        doubts.append(f"only the {len(kept)} highest of {len(inside)} candidates are listed")
    if len(candidates) > len(inside):
        doubts.append(f"{len(candidates) - len(inside)} candidates outside the images were left out")
    findings = tuple(_finding(output, each, run, rank) for rank, each in enumerate(kept, 1))
    return Said(findings, (code(output.code),), tuple(doubts))


def _candidates(output: PointsOutput, array: npt.NDArray[Any]) -> list[_Candidate]:
    return [
        _Candidate(row["score"], row.get("z", 0.0), row["y"], row["x"], row.get("diameter"))
        for row in finite_rows(output.name, output.columns, array)
    ]


def _is_inside(candidate: _Candidate, run: Run) -> bool:
    places = run.placement.to_image(candidate.z, candidate.y, candidate.x)
    return all(-HALF <= place <= size - HALF for place, size in zip(places, run.placement.size, strict=True))


def _finding(output: PointsOutput, candidate: _Candidate, run: Run, rank: int) -> Finding:
    measurements: tuple[Measurement, ...] = ()
    if candidate.diameter is not None:
        measurements = (Measurement(code(output.diameter), round(candidate.diameter, 1), MILLIMETRE),)
    return Finding(
        key=f"{output.code.meaning} {rank}",
        code=code(output.code),
        site=optional_code(output.site),
        score=None if output.score is None else Score(candidate.score, code(output.score)),
        measurements=measurements,
        geometry=_point(candidate, run),
        note=output.note,
        critical=output.critical,
    )


def _point(candidate: _Candidate, run: Run) -> Point:
    z, row, column = run.placement.to_image(candidate.z, candidate.y, candidate.x)
    patient = None
    if run.volume is not None:
        patient = run.volume.patient(z, row, column)
        row, column = run.volume.in_plane.to_stored(row, column)
    # SCOORD counts from the outer edge of the first pixel (PS3.3 C.18.6.1.1), indices from its centre.
    return Point(_frame(z, run), column + HALF, row + HALF, patient, candidate.diameter)


def _frame(z: float, run: Run) -> SourceFrame:
    return run.frames[min(max(round(z), 0), len(run.frames) - 1)]
