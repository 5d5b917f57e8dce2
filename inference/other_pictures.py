"""The pictures that a model of single images gets beside the one that it is about: those of a prior."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.findings import SourceFrame
from inference.inputs import InputImages
from inference.picture import read_picture
from inference.several import reason_for_none
from inference.suitability import Unsuitable
from inference.volume import read_headers
from models.card import Card
from models.preprocess import picture_tensor
from models.schema.inputs import ImageInput, PresenceInput
from storage.instances import StoredInstance
from storage.pixels.decode import FrameSource

Array = npt.NDArray[Any]


def other_pictures(
    card: Card, archive: FrameSource, images: Sequence[InputImages]
) -> tuple[dict[str, Array], tuple[SourceFrame, ...]]:
    """What the inputs after the first get, by name, and the frames that they get.

    Args:
        card: of a model of single images.
        archive: where the images are.
        images: those of the first input, and of each other that there are some for.

    Raises:
        Unsuitable: there is none for an input that is not optional, or it does not suit it.
        StorageError: the archive cannot give them.
    """
    given = {each.name: each.instances for each in images}
    tensors: dict[str, Array] = {}
    frames: list[SourceFrame] = []
    for image in card.images[1:]:
        source = _source(given.get(image.name, ()))
        if source is not None:
            frames.append(source)
        tensors[image.name] = _tensor(card, archive, image, source)
    for item in card.inputs:
        if isinstance(item, PresenceInput):
            tensors[item.name] = np.array([bool(given.get(item.of))], np.float32)
    return tensors, tuple(frames)


def check_single(instance: StoredInstance) -> None:
    """Raise `Unsuitable` when an image has several frames."""
    if instance.number_of_frames > 1:
        raise Unsuitable(f"the image has {instance.number_of_frames} frames, the model takes single ones")


def _source(instances: Sequence[StoredInstance]) -> SourceFrame | None:
    return SourceFrame(instances[0]) if instances else None


def _tensor(card: Card, archive: FrameSource, image: ImageInput, source: SourceFrame | None) -> Array:
    if source is None and not (image.optional and image.resize):
        raise Unsuitable(reason_for_none(image))
    if source is None:
        return np.zeros_like(picture_tensor(np.zeros((1, 1), np.uint8), image))
    try:
        check_single(source.instance)
        ((_, header),) = read_headers(archive, [source.instance], card.rules_of(image)).values()
        return picture_tensor(read_picture(archive, source, image, header), image)
    except Unsuitable as reason:
        raise Unsuitable(f"{image.name}: {reason}") from None
