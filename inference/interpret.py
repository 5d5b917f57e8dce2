"""From a model's raw outputs to findings, segments, reasons for doubt and reasons to give no answer."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.findings import Code, Finding, Segment
from inference.outputs.boxes import read_boxes
from inference.outputs.label_maps import read_segments, stored_labels
from inference.outputs.measurements import read_measurements
from inference.outputs.points import read_points
from inference.outputs.said import Answer, Said, element
from inference.outputs.scores import read_scores
from inference.prepare import Run
from models.card import Card
from models.schema.outputs import (
    BoxesOutput,
    Guard,
    LabelMapOutput,
    MeasurementOutput,
    Output,
    PointsOutput,
    ScoresOutput,
)


@dataclass(frozen=True, slots=True, eq=False)
class Interpretation:
    """What all runs together say: parts of an `Analysis`."""

    findings: tuple[Finding, ...] = ()
    segments: tuple[Segment, ...] = ()
    looked_for: tuple[Code, ...] = ()
    flags: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    """Reasons to give no answer; then there are no findings and no segments."""


def answered(card: Card, run: Run, outputs: Mapping[str, npt.NDArray[Any]]) -> Answer:
    """What `outputs` say about the stored frames of `run`; the model's input is let go of.

    Raises:
        ModelError: a label map has not the size of the input.
    """
    maps = {
        output.name: stored_labels(output, outputs[output.name], run)
        for output in card.outputs
        if isinstance(output, LabelMapOutput)
    }
    rest = {name: array for name, array in outputs.items() if name not in maps}
    return Answer(run, rest, maps).without_input()


def interpret(card: Card, answers: Sequence[Answer]) -> Interpretation:
    """What the card makes of the answers, in the order of its outputs.

    Raises:
        ModelError: an output has not the shape that the card describes, or scores are no numbers.
    """
    refusals, flags = _guarded(card.guards, answers)
    if refusals:
        return Interpretation(refusals=refusals, flags=flags)
    segments, numbers = read_segments(card, answers)
    said = [_read(output, answer, numbers) for answer in answers for output in card.outputs]
    return Interpretation(
        _with_unique_keys(finding for each in said for finding in each.findings),
        segments,
        tuple(dict.fromkeys(code for each in said for code in each.looked_for)),
        tuple(dict.fromkeys([*flags, *(flag for each in said for flag in each.flags)])),
    )


def _read(output: Output, answer: Answer, segments: Mapping[str, int]) -> Said:
    match output:
        case ScoresOutput():
            return read_scores(output, answer)
        case MeasurementOutput():
            return read_measurements(output, answer, segments)
        case PointsOutput():
            return read_points(output, answer)
        case BoxesOutput():
            return read_boxes(output, answer)
        case LabelMapOutput():
            return Said()


def _guarded(guards: Iterable[Guard], answers: Sequence[Answer]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The reasons of broken guards: those to refuse, those to flag."""
    reasons: dict[str, list[str]] = {"refuse": [], "flag": []}
    for answer in answers:
        for guard in guards:
            value = element(answer.outputs[guard.output], guard.index, guard.output)
            if not _kept(guard, value):
                reasons[guard.action].append(guard.reason.replace("{value}", f"{value:.4g}"))
    return tuple(dict.fromkeys(reasons["refuse"])), tuple(dict.fromkeys(reasons["flag"]))


def _kept(guard: Guard, value: float) -> bool:
    low = -np.inf if guard.min is None else guard.min
    high = np.inf if guard.max is None else guard.max
    return bool(np.isfinite(value)) and low <= value <= high


def _with_unique_keys(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Keys that come again, on later frames, are numbered."""
    seen: Counter[str] = Counter()
    unique = []
    for finding in findings:
        seen[finding.key] += 1
        count = seen[finding.key]
        unique.append(finding if count == 1 else replace(finding, key=f"{finding.key} ({count})"))
    return tuple(unique)
