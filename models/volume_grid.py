"""The grid on which a model takes a volume, and the way back from it: reordered, flipped, resampled, cut."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from models.schema.inputs import ImageInput

Array = npt.NDArray[Any]
Orientation = Literal["any", "axial", "coronal", "sagittal"]

# Directions in which the indices of the canonical frame grow: to Superior, Inferior, Anterior, Posterior,
# Left or Right of the patient.
CANONICAL: dict[Orientation, str] = {"axial": "SPL", "coronal": "PIL", "sagittal": "LIP"}
_OPPOSITE = dict(zip("SIPALR", "ISAPRL", strict=True))
_HALF = 0.5
_EXACT = 1e-6


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of the model's grid."""

    source: int
    """Which axis of the volume it runs along."""
    start: float
    """Index in the volume of the grid's index 0."""
    step: float
    """Indices of the volume per index of the grid; negative where the directions differ."""
    size: int

    def at(self, index: float) -> float:
        """Index in the volume."""
        return self.start + self.step * index

    @property
    def places(self) -> Array:
        """Indices in the volume of all of the grid's."""
        return np.asarray(self.start + self.step * np.arange(self.size))


@dataclass(frozen=True, slots=True)
class VolumeGrid:
    """How a volume [slice, row, column] of `size` lies in the grid of a model, also [3]."""

    size: tuple[int, int, int]
    axes: tuple[Axis, Axis, Axis]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the grid."""
        first, second, third = self.axes
        return first.size, second.size, third.size

    def to_image(self, *place: float) -> tuple[float, float, float]:
        """Slice, row and column of the volume for a place in the grid; voxel centres are whole numbers."""
        found = {axis.source: axis.at(index) for axis, index in zip(self.axes, place, strict=True)}
        return found[0], found[1], found[2]

    @property
    def matrix(self) -> npt.NDArray[np.float64]:
        """4 x 4: (slice, row, column, 1) of the grid → the same of the volume."""
        matrix = np.zeros((4, 4))
        for number, axis in enumerate(self.axes):
            matrix[axis.source, number], matrix[axis.source, 3] = axis.step, axis.start
        matrix[3, 3] = 1.0
        return matrix

    def sampled(self, volume: Array, outside: float) -> Array:
        """The volume on the grid, linearly interpolated; not copied where nothing changes.

        Args:
            volume: of `size`.
            outside: what lies around it.
        """
        result = np.transpose(volume, [axis.source for axis in self.axes])
        for number, axis in enumerate(self.axes):
            result = _along(result, number, axis, outside)
        return result

    def labels_to_image(self, labels: Array) -> Array:
        """Labels on the grid as labels of the volume's voxels, by the nearest; 0 around the grid."""
        nearest = [np.rint(self._of_source(axis)).astype(np.intp) for axis in self.axes]
        inside = [(at >= 0) & (at < axis.size) for at, axis in zip(nearest, self.axes, strict=True)]
        clipped = [np.clip(at, 0, axis.size - 1) for at, axis in zip(nearest, self.axes, strict=True)]
        found = labels[np.ix_(*clipped)]
        if not all(each.all() for each in inside):
            found = np.where(inside[0][:, None, None] & inside[1][:, None] & inside[2], found, 0)
        return np.transpose(found, np.argsort([axis.source for axis in self.axes]))

    def _of_source(self, axis: Axis) -> Array:
        """Indices of the grid for all those of the volume along one axis."""
        return np.asarray((np.arange(self.size[axis.source]) - axis.start) / axis.step)


def volume_grid(
    size: Sequence[int], spacing: Sequence[float], spec: ImageInput, orientation: Orientation
) -> VolumeGrid:
    """The grid that a card asks for.

    Args:
        size: of the volume in its canonical frame.
        spacing: of its voxels in mm.
        spec: the card's image input, of layout NCDHW.
        orientation: `checks.orientation` of the card, which names the canonical frame.
    """
    canonical = CANONICAL.get(orientation, "")
    axes = []
    for number in range(3):
        source, sign = _source(number, spec.axes, canonical)
        wanted = spec.spacing_mm[number] if spec.spacing_mm else spacing[source]
        step = wanted / spacing[source]
        full = max(round(size[source] / step), 1)
        length = spec.size[number] if spec.size else _up(full, (1, *spec.multiple_of)[number])
        # A size is filled from its middle, a multiple is reached at the end.
        middle = ((length if spec.size else full) - 1) / 2
        start = (size[source] - 1) / 2 - sign * step * middle
        axes.append(Axis(source, start, sign * step, length))
    first, second, third = axes
    return VolumeGrid((size[0], size[1], size[2]), (first, second, third))


def _source(number: int, wanted: str, canonical: str) -> tuple[int, int]:
    """The axis of the canonical frame along which an axis of the model runs, and in which direction."""
    if not wanted:
        return number, 1
    letter = wanted[number]
    if letter in canonical:
        return canonical.index(letter), 1
    return canonical.index(_OPPOSITE[letter]), -1


def _along(array: Array, number: int, axis: Axis, outside: float) -> Array:
    places = axis.places
    whole = np.abs(places - np.rint(places)).max() < _EXACT
    if whole and axis.size == array.shape[number] and abs(places[0]) < _EXACT:
        return array
    count = array.shape[number]
    inside = (places >= -_HALF - _EXACT) & (places <= count - _HALF + _EXACT)
    held = np.clip(places, 0, count - 1)
    taken: Array
    if whole:
        taken = np.take(array, np.rint(held).astype(np.intp), axis=number)
    else:
        taken = _interpolated(array, number, held)
    if inside.all():
        return taken
    kept = inside.reshape([-1 if each == number else 1 for each in range(3)])
    return np.asarray(np.where(kept, taken, _fill(taken, outside)))


def _interpolated(array: Array, number: int, places: Array) -> Array:
    low = np.floor(places).astype(np.intp)
    high = np.minimum(low + 1, array.shape[number] - 1)
    share = (places - low).astype(np.float32).reshape([-1 if each == number else 1 for each in range(3)])
    near = np.take(array, low, axis=number).astype(np.float32)
    far = np.take(array, high, axis=number)
    return np.asarray(near + (far - near) * share)


def _fill(like: Array, value: float) -> Array:
    """`value` in the type of an array, within its limits."""
    if like.dtype.kind in "iu":
        limits = np.iinfo(like.dtype)
        value = float(np.clip(round(value), limits.min, limits.max))
    return np.asarray(value, like.dtype)


def _up(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple
