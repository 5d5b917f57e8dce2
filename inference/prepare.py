"""From stored images to what a model takes: checked, in the values, size and layout of its card."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.findings import SourceFrame
from inference.picture import read_picture
from inference.suitability import Unsuitable
from inference.volume import Values, Volume, read_headers, read_volume
from models.card import Card
from models.preprocess import Placement, picture_tensor, placement, volume_tensor
from models.schema.inputs import SpacingInput
from models.volume_grid import VolumeGrid, volume_grid
from storage.instances import StoredInstance
from storage.pixels.attributes import Attributes
from storage.pixels.decode import FrameSource

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One run of the model: its inputs, and how to come back from its grid to the stored pixels."""

    inputs: dict[str, Array]
    frames: tuple[SourceFrame, ...]
    """The slices of a volume, or the one frame of a picture."""
    placement: Placement | VolumeGrid
    volume: Volume | None = None


def prepare(card: Card, archive: FrameSource, instances: Sequence[StoredInstance]) -> Iterator[Run]:
    """The runs that a model needs over these images, made one at a time.

    A series is one run over its volume; otherwise every frame is one run, in the order of `instances`.

    Args:
        card: the model's card.
        archive: where the images are.
        instances: of one series; those without pixels, and those `image_type_exclude` names, are left out.

    Raises:
        Unsuitable: the images do not suit the model; the message is the reason for the reader.
        StorageError: the archive cannot give them.
    """
    if card.applies_to.scope == "series":
        yield _volume_run(card, archive, instances)
        return
    headers = read_headers(archive, instances, card.applies_to)
    for instance, header in headers.values():
        if card.applies_to.scope == "instance" and instance.number_of_frames > 1:
            raise Unsuitable(f"the image has {instance.number_of_frames} frames, the model takes single ones")
        for number in range(1, instance.number_of_frames + 1):
            yield _picture_run(card, archive, SourceFrame(instance, number), header)


def _volume_run(card: Card, archive: FrameSource, instances: Sequence[StoredInstance]) -> Run:
    image = card.image
    values: Values = "stored" if image.values == "stored" else "modality"
    volume = read_volume(archive, instances, card.applies_to, card.checks, values)
    grid = volume_grid(volume.array.shape, volume.spacing, image, card.checks.orientation)
    _check_voxels(grid, card)
    inputs = {image.name: volume_tensor(volume.array, image, grid)}
    for item in card.inputs:
        if isinstance(item, SpacingInput):
            inputs[item.name] = np.array(_spacing(volume, grid), np.float32)
    return Run(inputs, volume.frames, grid, volume)


def _check_voxels(grid: VolumeGrid, card: Card) -> None:
    if prod(grid.shape) > card.checks.max_voxels:
        raise Unsuitable(
            f"resampled, the volume has {' x '.join(map(str, grid.shape))} voxels, "
            f"more than {card.checks.max_voxels}"
        )


def _spacing(volume: Volume, grid: VolumeGrid) -> list[float]:
    return [abs(axis.step) * volume.spacing[axis.source] for axis in grid.axes]


def _picture_run(card: Card, archive: FrameSource, source: SourceFrame, header: Attributes) -> Run:
    picture = read_picture(archive, source, card.image, header)
    inputs = {card.image.name: picture_tensor(picture, card.image)}
    return Run(inputs, (source,), placement(picture.shape[0], picture.shape[1], card.image))
