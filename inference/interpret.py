"""From a model's raw outputs to findings, segments, reasons for doubt and reasons to give no answer."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.codes import code, optional_code
from inference.findings import Code, Finding, Measurement, Score, Segment, SourceFrame
from inference.points import point_findings
from inference.prepare import Run
from models.card import Card
from models.errors import ModelError
from models.schema import (
    Group,
    Guard,
    LabelMapOutput,
    MeasurementOutput,
    PointsOutput,
    ScoresOutput,
    SegmentOf,
    Value,
)

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What one run of the model gave; label maps already on the grid of the stored frames."""

    run: Run
    outputs: Mapping[str, Array]
    maps: Mapping[str, npt.NDArray[np.uint8]]
    """[frame, row, column] by output."""


@dataclass(frozen=True, slots=True, eq=False)
class Interpretation:
    """What all runs together say: parts of an `Analysis`."""

    findings: tuple[Finding, ...] = ()
    segments: tuple[Segment, ...] = ()
    looked_for: tuple[Code, ...] = ()
    flags: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    """Reasons to give no answer; then there are no findings and no segments."""


def answer(card: Card, run: Run, outputs: Mapping[str, Array]) -> Answer:
    """What `outputs` say about the stored frames of `run`; the model's input is let go of.

    Raises:
        ModelError: a label map has not the size of the input.
    """
    maps = {
        output.name: _label_map(output, outputs[output.name], run)
        for output in card.outputs
        if isinstance(output, LabelMapOutput)
    }
    rest = {name: array for name, array in outputs.items() if name not in maps}
    return Answer(replace(run, inputs={}), rest, maps)


def interpret(card: Card, answers: Sequence[Answer]) -> Interpretation:
    """What the card makes of the answers, in the order of its outputs.

    Raises:
        ModelError: an output has not the shape that the card describes, or scores are no numbers.
    """
    refusals, flags = _guarded(card.guards, answers)
    if refusals:
        return Interpretation(refusals=refusals, flags=flags)
    segments, numbers = _segments(card, answers)
    findings: list[Finding] = []
    looked_for: list[Code] = []
    for each in answers:
        for output in card.outputs:
            if isinstance(output, ScoresOutput):
                findings += (found := _scored(output, each))
                looked_for += _looked_for(output, found)
            elif isinstance(output, MeasurementOutput):
                findings += _measured(output, each, numbers)
            elif isinstance(output, PointsOutput):
                found, doubts = point_findings(output, each.outputs[output.name], each.run)
                findings += found
                flags += doubts
                looked_for.append(code(output.code))
    return Interpretation(
        _with_unique_keys(findings), segments, tuple(dict.fromkeys(looked_for)), tuple(dict.fromkeys(flags))
    )


def element(array: Array, index: tuple[int, ...], name: str) -> float:
    """One number of an output, axes of length 1 in front left out.

    Raises:
        ModelError: there is none at that place.
    """
    array = array.reshape(-1) if array.ndim == 0 else array
    while array.ndim > len(index) and array.shape[0] == 1:
        array = array[0]
    if array.ndim != len(index) or any(at >= size for at, size in zip(index, array.shape, strict=True)):
        raise ModelError(f"output {name!r} has shape {list(array.shape)}: there is no element {list(index)}")
    return float(array[index])


def _guarded(guards: Iterable[Guard], answers: Sequence[Answer]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    reasons: dict[str, list[str]] = {"refuse": [], "flag": []}
    for each in answers:
        for guard in guards:
            value = element(each.outputs[guard.output], guard.index, guard.output)
            if not _kept(guard, value):
                reasons[guard.action].append(guard.reason.replace("{value}", f"{value:.4g}"))
    return tuple(dict.fromkeys(reasons["refuse"])), tuple(dict.fromkeys(reasons["flag"]))


def _kept(guard: Guard, value: float) -> bool:
    low = -np.inf if guard.min is None else guard.min
    high = np.inf if guard.max is None else guard.max
    return bool(np.isfinite(value)) and low <= value <= high


def _label_map(output: LabelMapOutput, array: Array, run: Run) -> npt.NDArray[np.uint8]:
    if output.encoding == "argmax" and array.ndim > 1:
        array = array.argmax(axis=1)
    expected = (len(run.frames), *run.placement.grid)
    if array.size != np.prod(expected) or array.shape[-2:] != run.placement.grid:
        raise ModelError(
            f"label map {output.name!r} has shape {list(array.shape)}, the input {list(expected)}"
        )
    labels = array.reshape(expected)
    labels = np.rint(labels) if labels.dtype.kind == "f" else labels
    labels = run.placement.labels_to_picture(labels)
    if run.volume is not None:
        labels = run.volume.in_plane.undo(labels)
    return np.ascontiguousarray(labels, np.uint8)


def _segments(card: Card, answers: Sequence[Answer]) -> tuple[tuple[Segment, ...], dict[str, int]]:
    """The segments that have voxels, numbered from 1, and their numbers by name."""
    segments: list[Segment] = []
    numbers: dict[str, int] = {}
    for output in card.outputs:
        if not isinstance(output, LabelMapOutput):
            continue
        labels = _joined(output.name, answers)
        for each in output.segments:
            if not _has_any(labels, each.values):
                continue
            numbers[each.name] = len(segments) + 1
            segments.append(_segment(each, len(segments) + 1, labels))
    return tuple(segments), numbers


def _has_any(labels: npt.NDArray[np.uint8], values: Sequence[int]) -> bool:
    return any(bool((frame == value).any()) for value in values for frame in labels)


def _segment(each: SegmentOf, number: int, labels: npt.NDArray[np.uint8]) -> Segment:
    kind, side = code(each.type), optional_code(each.laterality)
    return Segment(number, each.label, code(each.category), kind, side, each.colour, labels, each.values)


def _joined(name: str, answers: Sequence[Answer]) -> npt.NDArray[np.uint8]:
    maps = [each.maps[name] for each in answers]
    if len({labels.shape[1:] for labels in maps}) > 1:
        raise ModelError(f"label maps {name!r} of images of different sizes make no one segmentation")
    return maps[0] if len(maps) == 1 else np.concatenate(maps)


def _scored(output: ScoresOutput, each: Answer) -> list[Finding]:
    scores = _activated(output, each.outputs[output.name])
    best = int(scores.argmax())
    found = []
    for index, label in enumerate(output.labels):
        chosen = output.decide == "threshold" or index == best
        if label.code is None or not label.finding or not chosen or scores[index] < label.threshold:
            continue
        found.append(
            Finding(
                key=label.label,
                code=code(label.code),
                site=optional_code(label.site),
                laterality=optional_code(label.laterality),
                score=Score(float(scores[index]), code(output.score)),
                source=_only_frame(each.run.frames),
            )
        )
    return found


def _looked_for(output: ScoresOutput, found: Sequence[Finding]) -> list[Code]:
    """The one class that was chosen says nothing against the others."""
    if output.decide == "top-1" and found:
        return [finding.code for finding in found]
    return [code(label.code) for label in output.labels if label.finding and label.code is not None]


def _activated(output: ScoresOutput, array: Array) -> npt.NDArray[np.float64]:
    raw = array.astype(np.float64).reshape(-1)
    if raw.size != len(output.labels):
        raise ModelError(f"output {output.name!r} has {raw.size} scores for {len(output.labels)} labels")
    if not np.isfinite(raw).all():
        raise ModelError(f"output {output.name!r} has scores that are no numbers")
    if output.activation == "softmax":
        powers = np.exp(raw - raw.max())
        return np.asarray(powers / powers.sum())
    if output.activation == "sigmoid":
        return np.asarray(1 / (1 + np.exp(-np.clip(raw, -500, 500))))
    return raw


def _measured(output: MeasurementOutput, each: Answer, numbers: Mapping[str, int]) -> list[Finding]:
    found = [_group(group, output, each, numbers) for group in output.groups]
    return [finding for finding in found if finding is not None]


def _group(
    group: Group, output: MeasurementOutput, each: Answer, numbers: Mapping[str, int]
) -> Finding | None:
    if group.segment is not None and group.segment not in numbers:
        return None
    places = [(value, value.output or output.name) for value in group.values]
    pairs = [(value, element(each.outputs[name], value.index, name)) for value, name in places]
    measurements = tuple(_measurement(value, number) for value, number in pairs if np.isfinite(number))
    if not measurements:
        return None
    return Finding(
        key=group.key,
        code=code(group.finding),
        presence="not stated",
        site=optional_code(group.site),
        laterality=optional_code(group.laterality),
        measurements=measurements,
        segment=numbers[group.segment] if group.segment is not None else None,
        source=_only_frame(each.run.frames),
    )


def _measurement(value: Value, number: float) -> Measurement:
    return Measurement(
        code(value.concept),
        round(number, value.decimals),
        code(value.unit),
        optional_code(value.derivation),
        optional_code(value.method),
    )


def _only_frame(frames: Sequence[SourceFrame]) -> SourceFrame | None:
    return frames[0] if len(frames) == 1 else None


def _with_unique_keys(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Keys that come again, on later frames, are numbered."""
    seen: Counter[str] = Counter()
    unique = []
    for finding in findings:
        seen[finding.key] += 1
        count = seen[finding.key]
        unique.append(finding if count == 1 else replace(finding, key=f"{finding.key} ({count})"))
    return tuple(unique)
