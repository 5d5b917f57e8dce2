"""From stored images to what a model takes: checked, in the values, size and layout of its card."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.findings import SourceFrame
from inference.inputs import InputImages
from inference.other_pictures import check_single, other_pictures
from inference.picture import read_picture
from inference.several import Placed, placed
from inference.volume import Volume, read_headers
from models.card import Card
from models.preprocess import Placement, picture_tensor, placement
from models.schema.inputs import ImageInput, PresenceInput, SpacingInput
from models.volume_grid import VolumeGrid
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
    further: tuple[SourceFrame, ...] = ()
    """Those of the other inputs."""


def prepare(card: Card, archive: FrameSource, images: Sequence[InputImages]) -> Iterator[Run]:
    """The runs that a model needs over these images, made one at a time.

    A series, with those of the other inputs, is one run over its volume; otherwise every frame is one run, in
    the order of the images.

    Args:
        card: the model's card.
        archive: where the images are.
        images: those of the first input, and of each other that there are some for; images without pixels,
            and those `image_type_exclude` names, are left out.

    Raises:
        Unsuitable: the images do not suit the model; the message is the reason for the reader.
        StorageError: the archive cannot give them.
    """
    if card.applies_to.scope == "series":
        yield _volume_run(card, placed(card, archive, images))
        return
    beside, further = other_pictures(card, archive, images)
    headers = read_headers(archive, images[0].instances, card.rules_of(card.image))
    for instance, header in headers.values():
        if card.applies_to.scope == "instance":
            check_single(instance)
        for number in range(1, instance.number_of_frames + 1):
            run = _picture_run(card, archive, SourceFrame(instance, number), header)
            yield replace(run, inputs=run.inputs | beside, further=further)


def _volume_run(card: Card, volumes: Mapping[str, Placed]) -> Run:
    first = volumes[card.image.name]
    inputs: dict[str, Array] = {}
    for item in card.inputs:
        match item:
            case ImageInput():
                inputs[item.name] = volumes[item.name].tensor
            case SpacingInput():
                inputs[item.name] = np.array(first.spacing, np.float32)
            case PresenceInput():
                inputs[item.name] = np.array([volumes[item.of].volume is not None], np.float32)
    grid, volume = first.grid, first.volume
    assert isinstance(grid, VolumeGrid)  # noqa: S101 - the first input is aligned with no other
    assert volume is not None  # noqa: S101 - nor is it optional
    others = (each.volume for name, each in volumes.items() if name != card.image.name)
    further = tuple(frame for other in others if other is not None for frame in other.frames)
    return Run(inputs, volume.frames, grid, volume, further)


def _picture_run(card: Card, archive: FrameSource, source: SourceFrame, header: Attributes) -> Run:
    picture = read_picture(archive, source, card.image, header)
    inputs = {card.image.name: picture_tensor(picture, card.image)}
    return Run(inputs, (source,), placement(picture.shape[0], picture.shape[1], card.image))
