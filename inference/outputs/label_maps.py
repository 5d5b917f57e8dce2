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
from models.schema import LabelMapOutput, SegmentOf

Labels = npt.NDArray[np.uint8]


def stored_labels(output: LabelMapOutput, array: npt.NDArray[Any], run: Run) -> Labels:
    """The label map of one run as [frame, row, column] of the stored frames.

    Raises:
        ModelError: it has not the size of the model's input.
    """
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
