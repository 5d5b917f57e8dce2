"""A volume larger than a model takes at once: run in overlapping parts, the scores put together."""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from models.card import Card
from models.errors import ModelError
from models.runtime import Runtime
from models.schema.inputs import Patch

Array = npt.NDArray[Any]
Place = tuple[slice, slice, slice]
_SIGMAS = 8
"""Standard deviations of the Gaussian weight from edge to edge of a part."""


def run_in_patches(
    card: Card, runtime: Runtime, inputs: Mapping[str, Array], patch: Patch, seconds: dict[str, float]
) -> dict[str, Array]:
    """The score maps of the whole grid, as if the model had been run on it at once.

    Args:
        card: the model; its outputs are score maps [1, classes, D, H, W].
        runtime: what runs it.
        inputs: for the whole grid.
        patch: size, overlap and weight of the parts.
        seconds: where what it took is added, as by `Runtime.run_all`.

    Raises:
        ModelError: as `Runtime.run`, or a score map has not the size of its part.
    """
    shape = inputs[card.image.name].shape[2:]
    around = [(0, max(part - size, 0)) for part, size in zip(patch.size, shape, strict=True)]
    # What lies on the same grid is taken apart with it.
    alike = [each.name for each in card.images if card.image.name in {each.name, each.align}]
    padded = {name: np.pad(inputs[name][0, 0], around, mode="edge") for name in alike}
    size = padded[card.image.name].shape
    weight = _weight(patch)
    totals: dict[str, Array] = {}
    weights = np.zeros(size, np.float32)
    for place in _places(size, patch):
        parts = {name: whole[place][None, None] for name, whole in padded.items()}
        outputs = runtime.run(card, {**inputs, **parts}, seconds)
        for name, scores in outputs.items():
            _check(name, scores, patch)
            total = totals.setdefault(name, np.zeros((1, scores.shape[1], *size), np.float32))
            total[(0, slice(None), *place)] += scores[0] * weight
        weights[place] += weight
    whole = tuple(slice(0, size) for size in shape)
    return {name: (total / weights)[(slice(None), slice(None), *whole)] for name, total in totals.items()}


def _check(name: str, scores: Array, patch: Patch) -> None:
    if scores.shape[2:] != patch.size:
        raise ModelError(
            f"score map {name!r} has shape {list(scores.shape)} for a part of {list(patch.size)}"
        )


def _places(shape: tuple[int, ...], patch: Patch) -> Iterator[Place]:
    starts = (_starts(size, part, patch.overlap) for size, part in zip(shape, patch.size, strict=True))
    for z, y, x in product(*starts):
        depth, height, width = patch.size
        yield slice(z, z + depth), slice(y, y + height), slice(x, x + width)


def _starts(size: int, part: int, overlap: float) -> list[int]:
    """Evenly spread, the last part ending where the volume ends."""
    step = max(part * (1 - overlap), 1)
    count = int(np.ceil((size - part) / step)) + 1
    return sorted({round(place) for place in np.linspace(0, size - part, count)})


def _weight(patch: Patch) -> Array:
    """[D, H, W], nowhere 0."""
    if patch.blend == "constant":
        return np.ones(patch.size, np.float32)
    lines = [np.exp(-0.5 * ((np.arange(n) - (n - 1) / 2) * _SIGMAS / n) ** 2) for n in patch.size]
    weight: Array = np.maximum(np.einsum("i,j,k->ijk", *lines), 1e-6).astype(np.float32)
    return weight
