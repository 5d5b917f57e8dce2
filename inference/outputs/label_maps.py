"""Label maps on the grid of the stored frames, and the segments in them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.codes import code, optional_code
from inference.findings import Segment
from inference.outputs.said import Answer
from inference.prepare import Run
from models.card import Card
from models.errors import ModelError
from models.schema.outputs import LabelMapOutput, SegmentOf

Labels = npt.NDArray[np.uint8]


def stored_labels(output: LabelMapOutput, array: npt.NDArray[Any], run: Run) -> Labels:
    """The label map of one run as [frame, row, column] of the stored frames.

    Raises:
        ModelError: it has not the size of the model's input.
    """
    labels = _labels(output, array)
    expected = run.placement.shape
    if labels.size != np.prod(expected) or labels.shape[-2:] != expected[1:]:
        raise ModelError(
            f"label map {output.name!r} has shape {list(array.shape)}, the input {list(expected)}"
        )
    labels = run.placement.labels_to_image(labels.reshape(expected))
    if run.volume is not None:
        labels = run.volume.in_plane.undo(labels)
    return np.ascontiguousarray(labels, np.uint8)


def _labels(output: LabelMapOutput, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if output.encoding == "labels" or array.ndim <= 1:
        return np.rint(array) if array.dtype.kind == "f" else array
    best = array.argmax(axis=1)
    if output.encoding == "argmax":
        return np.asarray(best)
    return np.asarray(np.where(array.max(axis=1) >= output.threshold, best + 1, 0))


def read_segments(card: Card, answers: Sequence[Answer]) -> tuple[tuple[Segment, ...], dict[str, int]]:
    """The segments that have voxels, numbered from 1, and their numbers by name.

    Raises:
        ModelError: the runs gave label maps of different sizes.
    """
    segments: list[Segment] = []
    numbers: dict[str, int] = {}
    for output in card.outputs:
        if not isinstance(output, LabelMapOutput):
            continue
        labels = _joined(output.name, answers)
        for each in output.segments:
            if _has_any(labels, each.values):
                numbers[each.name] = len(segments) + 1
                segments.append(_segment(each, len(segments) + 1, labels))
    return tuple(segments), numbers


def _has_any(labels: Labels, values: Sequence[int]) -> bool:
    return any(bool((frame == value).any()) for value in values for frame in labels)


def _segment(each: SegmentOf, number: int, labels: Labels) -> Segment:
    kind, side = code(each.type), optional_code(each.laterality)
    return Segment(number, each.label, code(each.category), kind, side, each.colour, labels, each.values)


def _joined(name: str, answers: Sequence[Answer]) -> Labels:
    maps = [answer.maps[name] for answer in answers]
    if len({labels.shape[1:] for labels in maps}) > 1:
        raise ModelError(f"label maps {name!r} of images of different sizes make no one segmentation")
    return maps[0] if len(maps) == 1 else np.concatenate(maps)
