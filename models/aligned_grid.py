"""A volume on the grid of another one, by where both lie in the patient."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Array = npt.NDArray[Any]
_HALF = 0.5
_EXACT = 1e-4
"""Of a voxel: what rounding of positions in the headers leaves."""


@dataclass(frozen=True, slots=True, eq=False)
class AlignedGrid:
    """A grid [slice, row, column] in which a volume lies in any direction."""

    shape: tuple[int, int, int]
    """Of the grid."""
    matrix: npt.NDArray[np.float64]
    """4 x 4: (slice, row, column, 1) of the grid → the same of the volume."""

    def sampled(self, volume: Array, outside: float) -> Array:
        """The volume on the grid, linearly interpolated: float32; not copied where nothing changes.

        Args:
            volume: [slice, row, column].
            outside: what lies around it, half a voxel beyond its outermost centres.
        """
        if volume.shape == self.shape and np.allclose(self.matrix, np.eye(4), rtol=0, atol=_EXACT):
            return volume
        linear, offset = self.matrix[:3, :3], self.matrix[:3, 3]
        sampled: Array = ndimage.affine_transform(
            volume, linear, offset, self.shape, np.float32, order=1, mode="nearest", prefilter=False
        )
        sampled[~self._inside(volume.shape)] = outside
        return sampled

    def coverage(self, size: Sequence[int]) -> float:
        """The share of the grid, 0 to 1, that lies in a volume of `size`."""
        return float(self._inside(size).mean())

    def _inside(self, size: Sequence[int]) -> Array:
        """[slice, row, column] of the grid: whether the volume has a voxel there."""
        z, y, x = np.ogrid[tuple(slice(0, length) for length in self.shape)]
        inside: Array = np.ones(self.shape, np.bool_)
        for axis, length in enumerate(size):
            a, b, c, d = self.matrix[axis]
            place = a * z + b * y + (c * x + d)
            inside &= (place >= -_HALF - _EXACT) & (place <= length - _HALF + _EXACT)
        return inside
