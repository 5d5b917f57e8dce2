"""How much of every voxel of one slice lies inside a shape: quadrics and capsules with partial volume.

Positions are millimetres in the patient coordinate system of PS3.3 C.7.6.2.1.1: x to the patient's left,
y to the back, z to the head.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Point = tuple[float, float, float]

_FULL = 255.0


@dataclass(frozen=True)
class Grid:
    """The voxel centres of a volume [slices, rows, columns], in millimetres."""

    z: Floats
    y: Floats
    x: Floats
    spacing: Point
    """Distance of voxel centres as (z, y, x)."""

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.z.size, self.y.size, self.x.size

    @classmethod
    def centred(cls, shape: tuple[int, int, int], spacing: Point) -> "Grid":
        """A grid whose middle is the origin."""
        z, y, x = (
            ((np.arange(count) - (count - 1) / 2) * step).astype(np.float32)
            for count, step in zip(shape, spacing, strict=True)
        )
        return cls(z, y, x, spacing)


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid, or with an infinite half-axis the cylinder over an ellipse."""

    centre: Point
    """(x, y, z)"""
    half_axes: Point
    """(x, y, z)"""

    def coverage(self, grid: Grid, index: int) -> Floats:
        """Inside fraction 0..1 of each voxel [rows, columns] of slice `index`.

        A voxel is a box, so the edge is as wide as the box seen along the surface's normal.
        """
        values, widths = zip(
            *(
                _term(axis, centre, half, step)
                for axis, centre, half, step in zip(
                    (grid.x[None, :], grid.y[:, None], grid.z[index : index + 1, None]),
                    self.centre,
                    self.half_axes,
                    grid.spacing[::-1],
                    strict=True,
                )
            ),
            strict=True,
        )
        if values[2].item() > 1 + widths[2].item():
            return np.zeros((grid.y.size, grid.x.size), np.float32)
        surface = (values[0] + (values[2] - 1)) + values[1]
        return edge(surface, (widths[0] + (widths[2] + 1e-6)) + widths[1])


def edge(surface: Floats, width: Floats | float) -> Floats:
    """Inside fraction for an implicit surface (negative inside) that changes by `width` across a voxel."""
    np.divide(surface, width, out=surface)
    np.subtract(0.5, surface, out=surface)
    return np.clip(surface, 0, 1, out=surface)


def _term(axis: Floats, centre: float, half: float, step: float) -> tuple[Floats, Floats]:
    scaled = (axis - np.float32(centre)) / np.float32(half)
    return scaled * scaled, np.abs(scaled) * np.float32(2 * step / half)


@dataclass(frozen=True)
class Capsule:
    """A straight tube with round ends; start and end (x, y, z) may be equal, which makes a ball."""

    start: Point
    end: Point
    radius: float

    def paint(self, grid: Grid, volume: Bytes) -> None:
        """Raise `volume` [slices, rows, columns] to this capsule's coverage, 255 being all of a voxel."""
        box = tuple(
            _reach(axis, ends, self.radius + step)
            for axis, ends, step in zip(
                (grid.z, grid.y, grid.x),
                zip(self.start[::-1], self.end[::-1], strict=True),
                grid.spacing,
                strict=True,
            )
        )
        if any(part.start >= part.stop for part in box):
            return
        covered = self._coverage(grid.z[box[0]], grid.y[box[1]], grid.x[box[2]], grid.spacing)
        part = volume[box]
        np.maximum(part, (covered * _FULL).astype(np.uint8), out=part)

    def _coverage(self, z: Floats, y: Floats, x: Floats, spacing: Point) -> Floats:
        axis = np.subtract(self.end, self.start, dtype=np.float32)
        length2 = float(axis @ axis)
        offsets = (
            x[None, None, :] - np.float32(self.start[0]),
            y[None, :, None] - np.float32(self.start[1]),
            z[:, None, None] - np.float32(self.start[2]),
        )
        along = np.zeros((z.size, y.size, x.size), np.float32)
        if length2 > 0:
            along += (offsets[0] * axis[0] + offsets[1] * axis[1] + offsets[2] * axis[2]) / np.float32(
                length2
            )
            np.clip(along, 0, 1, out=along)
        away = [offset - along * step for offset, step in zip(offsets, axis, strict=True)]
        distance = np.sqrt(away[0] ** 2 + away[1] ** 2 + away[2] ** 2) + np.float32(1e-6)
        width = sum(np.abs(part) * step for part, step in zip(away, spacing[::-1], strict=True)) / distance
        covered = edge(distance - np.float32(self.radius), width + np.float32(1e-6))
        return covered * np.float32(min(1.0, 2 * self.radius / self._depth(length2, axis, spacing[0])))

    def _depth(self, length2: float, axis: Floats, step: float) -> float:
        # What lies flat and is thinner than the slice fills it only in part.
        flat = 1.0 if length2 == 0 else float(np.hypot(axis[0], axis[1])) / length2**0.5
        return max(step * flat, 1e-6)


def _reach(axis: Floats, ends: tuple[float, float], margin: float) -> slice:
    low, high = np.searchsorted(axis, [min(ends) - margin, max(ends) + margin])
    return slice(int(low), int(high))
