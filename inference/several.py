"""The series of all inputs of a model: each a volume, on a grid of its own or on that of another."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.inputs import InputImages
from inference.suitability import Unsuitable
from inference.volume import Values, Volume, read_volume
from models.aligned_grid import AlignedGrid
from models.card import Card
from models.preprocess import volume_tensor
from models.schema.inputs import ImageInput
from models.volume_grid import VolumeGrid, volume_grid
from storage.instances import StoredInstance
from storage.pixels.decode import FrameSource

Array = npt.NDArray[Any]

_NONE = {
    "study": "no series: the study has none for input {name!r}",
    "prior study": "no prior: the patient has no earlier study here with a series for input {name!r}",
}


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """What one input of a model gets."""

    tensor: Array
    grid: VolumeGrid | AlignedGrid
    volume: Volume | None
    """None where there is no series: the tensor is zeros."""

    @property
    def spacing(self) -> list[float]:
        """Mm between slices, rows and columns of a grid of its own."""
        assert isinstance(self.grid, VolumeGrid)  # noqa: S101 - asked of the first input alone
        assert self.volume is not None  # noqa: S101 - which is there
        return [abs(axis.step) * self.volume.spacing[axis.source] for axis in self.grid.axes]


def placed(card: Card, archive: FrameSource, images: Sequence[InputImages]) -> dict[str, Placed]:
    """What each image input of a card gets, by its name.

    Args:
        card: of a model of whole series.
        archive: where the images are.
        images: those of the first input, and of each other that there are some for.

    Raises:
        Unsuitable: there is no series for an input that is not optional, one does not suit it, or two do not
            go together.
        StorageError: the archive cannot give them.
    """
    given = {each.name or card.image.name: each.instances for each in images}
    found: dict[str, Placed] = {}
    for image in card.images:
        instances = given.get(image.name, ())
        try:
            found[image.name] = _placed(card, archive, image, instances, found.get(image.align))
        except Unsuitable as reason:
            # Only a reader of several series must be told which one it is.
            if len(card.images) == 1 or not instances:
                raise
            raise Unsuitable(f"{image.name}: {reason}") from None
    return found


def missing(card: Card, images: Sequence[InputImages]) -> list[str]:
    """What is said of optional inputs that no series is there for."""
    given = {each.name for each in images}
    return [
        f"{reason_for_none(image)}; the model ran without"
        for image in card.images[1:]
        if image.name not in given
    ]


def reason_for_none(image: ImageInput) -> str:
    """Why an input gets nothing."""
    return _NONE[image.origin].format(name=image.name)


def _placed(
    card: Card,
    archive: FrameSource,
    image: ImageInput,
    instances: Sequence[StoredInstance],
    other: Placed | None,
) -> Placed:
    if not instances and (other is None or not image.optional):
        raise Unsuitable(reason_for_none(image))
    if not instances and other is not None:
        nothing = np.zeros((1, 1, *other.grid.shape), image.dtype)
        return Placed(nothing, other.grid, None)
    values: Values = "stored" if image.values == "stored" else "modality"
    checks = card.checks_of(image)
    volume = read_volume(archive, instances, card.rules_of(image), checks, values)
    if other is not None and other.volume is not None:
        grid: VolumeGrid | AlignedGrid = _aligned(image, volume, other.volume, other.grid)
    else:
        grid = volume_grid(volume.array.shape, volume.spacing, image, checks.orientation)
        _check_voxels(grid, checks.max_voxels)
    return Placed(volume_tensor(volume.array, image, grid), grid, volume)


def _aligned(image: ImageInput, volume: Volume, other: Volume, grid: VolumeGrid | AlignedGrid) -> AlignedGrid:
    _check_frame_of_reference(image, volume, other)
    matrix = np.linalg.inv(volume.affine) @ other.affine @ grid.matrix
    aligned = AlignedGrid(grid.shape, matrix)
    share = aligned.coverage(volume.array.shape)
    if not share or share < image.min_overlap:
        raise Unsuitable(
            f"the series covers {share:.0%} of {image.align}, at least "
            f"{f'{image.min_overlap:.0%}' if image.min_overlap else 'some'} is needed"
        )
    return aligned


def _check_frame_of_reference(image: ImageInput, volume: Volume, other: Volume) -> None:
    """Positions compare only within one frame of reference (PS3.3 C.7.4.1.1.1)."""
    if image.other_frame_of_reference == "accept":
        return
    if not volume.frame_of_reference or not other.frame_of_reference:
        raise Unsuitable(f"without Frame of Reference UIDs the series cannot be laid on {image.align}")
    if volume.frame_of_reference != other.frame_of_reference:
        raise Unsuitable(f"the Frame of Reference UID is not that of {image.align}: positions do not compare")


def _check_voxels(grid: VolumeGrid, most: int) -> None:
    if prod(grid.shape) > most:
        size = " x ".join(map(str, grid.shape))
        raise Unsuitable(f"resampled, the volume has {size} voxels, more than {most}")
