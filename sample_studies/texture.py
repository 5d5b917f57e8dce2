"""The grain of lung tissue and of the scanner."""

import numpy as np
import numpy.typing as npt

from sample_studies.shapes import Floats, Grid

_CELL_MM = 8.0
_SAMPLED_SLICES = 24
_SOFT = 0.12


class Texture:
    """A smooth random field over the volume; where it is highest, the lung is destroyed.

    Args:
        grid: voxels of the volume.
        emphysema: fraction 0..1 of the volume that is destroyed.
        seed: equal seeds give equal fields.
    """

    def __init__(self, grid: Grid, emphysema: float, seed: int) -> None:
        axes = grid.z, grid.y, grid.x
        counts = [int(np.ceil(np.ptp(axis) / _CELL_MM)) + 2 for axis in axes]
        self._cells = np.random.default_rng([seed, 4]).standard_normal(counts, np.float32)
        self._z, self._y, self._x = (_knots(axis) for axis in axes)
        self._limit = self._quantile(1 - emphysema) if emphysema else np.inf

    def slice(self, index: int) -> Floats:
        """The field [rows, columns] in one slice; its values are spread about zero."""
        plane = _between(self._cells, self._z[0][index : index + 1], self._z[1][index : index + 1])[0]
        rows = _between(plane, *self._y)
        return _between(rows.T, *self._x).T

    def destroyed(self, field: Floats) -> Floats:
        """How much 0..1 of each voxel of a slice's field is destroyed."""
        share: Floats = np.clip((field - np.float32(self._limit)) / np.float32(_SOFT) + 0.5, 0, 1)
        return share

    def _quantile(self, fraction: float) -> float:
        picked = np.unique(np.linspace(0, self._z[0].size - 1, _SAMPLED_SLICES).astype(int))
        return float(np.quantile(np.stack([self.slice(index)[::4, ::4] for index in picked]), fraction))


def blur(image: Floats, side: float) -> Floats:
    """`image` [rows, columns] averaged along both axes with weights (side, 1 - 2 side, side)."""
    for axis in (0, 1):
        moved = image.swapaxes(0, axis)
        out = moved * np.float32(1 - 2 * side)
        out[1:] += np.float32(side) * moved[:-1]
        out[:-1] += np.float32(side) * moved[1:]
        out[0] += np.float32(side) * moved[0]
        out[-1] += np.float32(side) * moved[-1]
        image = out.swapaxes(0, axis)
    return image


def _knots(axis: Floats) -> tuple[npt.NDArray[np.intp], Floats]:
    at = (axis - axis[0]) / np.float32(_CELL_MM)
    low = at.astype(np.intp)
    return low, at - low.astype(np.float32)


def _between(values: Floats, low: npt.NDArray[np.intp], part: Floats) -> Floats:
    weight = part.reshape(-1, *(1,) * (values.ndim - 1))
    between: Floats = values[low] * (1 - weight) + values[low + 1] * weight
    return between
