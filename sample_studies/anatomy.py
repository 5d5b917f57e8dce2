"""The adult chest as some dozen quadrics: where body, bones, organs and lungs are, and their CT numbers."""

from enum import Enum

import numpy as np

from sample_studies.shapes import Ellipsoid, Floats, Grid, Point, edge

_FOREVER = 1e4
AIR = -1000.0
TABLE = -150.0
SKIN, FAT, MUSCLE, ORGAN = 20.0, -100.0, 50.0, 45.0
CORTEX, MARROW, CARTILAGE = 650.0, 230.0, 90.0


class Side(Enum):
    """A lung; the value is its label in masks."""

    RIGHT = 1
    LEFT = 2

    @property
    def sign(self) -> int:
        """Direction of this side along x."""
        return -1 if self is Side.RIGHT else 1


CARINA: Point = (0.0, 26.0, 40.0)
HILA: dict[Side, Point] = {Side.RIGHT: (-40.0, 24.0, 18.0), Side.LEFT: (42.0, 26.0, 12.0)}

_LUNG_CENTRE_Z = -40.0
_LUNG_HALF = (61.0, 90.0)
_LUNG_UP, _LUNG_DOWN = 168.0, 100.0
_GAP = 5.0
_CAVITY = (134.0, 93.0)
_MEDIASTINUM = Ellipsoid((0, 20, 0), (34, 56, _FOREVER))
_HEART = Ellipsoid((22, -24, -58), (60, 48, 56))
_SPINE_BED = Ellipsoid((0, 70, 0), (28, 24, _FOREVER))
_DOMES = {
    Side.RIGHT: Ellipsoid((-72, 4, -150), (74, 94, 80)),
    Side.LEFT: Ellipsoid((72, 6, -154), (72, 92, 72)),
}
_STERNUM = Ellipsoid((0, -97, 20), (19, 6, 85))
_CANAL = Ellipsoid((0, 86, 0), (9, 8, _FOREVER))
_ARCH = Ellipsoid((0, 88, 0), (15, 13, _FOREVER))
_SPINOUS = Ellipsoid((0, 99, 0), (4, 9, _FOREVER))
_VERTEBRA, _VERTEBRA_CORE = (
    Ellipsoid((0, 62, 0), (18, 15, _FOREVER)),
    Ellipsoid((0, 62, 0), (16, 13, _FOREVER)),
)
_VERTEBRA_PITCH, _DISC = 25.0, 6.0
_RIB_PITCH, _RIB_SLOPE = 26.0, 0.45


def paint_body(grid: Grid, index: int, hu: Floats, *, lungs: bool) -> None:
    """Paint table, chest wall, bones and organs of slice `index` into `hu` [rows, columns]."""
    _mix(hu, _table(grid), TABLE)
    for depth, value in ((0.0, SKIN), (2.0, FAT), (14.0, MUSCLE)):
        _mix(hu, _body(grid, index, depth), value)
    _paint_ribs(grid, index, hu)
    _paint_spine(grid, index, hu)
    _mix(hu, _STERNUM.coverage(grid, index), MARROW)
    if lungs:
        _mix(hu, _HEART.coverage(grid, index), ORGAN)
        _mix(hu, _DOMES[Side.RIGHT].coverage(grid, index) * _cavity(grid, index), ORGAN + 15)


def lung(grid: Grid, index: int, side: Side) -> Floats:
    """Inside fraction [rows, columns] of one lung, with its vessels and small airways."""
    inside = np.minimum(_lung_ellipsoid(side, grid.z[index]).coverage(grid, index), _cavity(grid, index))
    if inside.any():
        for organ in (_MEDIASTINUM, _HEART, _SPINE_BED, _DOMES[side]):
            np.minimum(inside, 1 - organ.coverage(grid, index), out=inside)
    return inside


def inside_lung(point: Point, side: Side, margin: float = 0.0) -> bool:
    """Whether a point (x, y, z) is in the lung and about `margin` millimetres from its surface."""
    x, y, z = (np.array([value], np.float32) for value in point)
    depth = 2 * margin + 1e-3
    return lung(Grid(z, y, x, (depth, depth, depth)), 0, side).item() >= 1.0


def _lung_ellipsoid(side: Side, z: float) -> Ellipsoid:
    height = _LUNG_UP if z > _LUNG_CENTRE_Z else _LUNG_DOWN
    centre = side.sign * (_LUNG_HALF[0] + _GAP / 2)
    return Ellipsoid((centre, 2, _LUNG_CENTRE_Z), (*_LUNG_HALF, height))


def _taper(z: float, amount: float) -> float:
    """1 at the heart's level, 1 - amount at the apices."""
    step = min(max((z - 30.0) / 120.0, 0.0), 1.0)
    return 1 - amount * step * step * (3 - 2 * step)


def _cavity(grid: Grid, index: int) -> Floats:
    narrow = _taper(grid.z[index], 0.3)
    return Ellipsoid((0, 0, 0), (_CAVITY[0] * narrow, _CAVITY[1] * narrow, _FOREVER)).coverage(grid, index)


def _body(grid: Grid, index: int, depth: float) -> Floats:
    narrow = _taper(grid.z[index], 0.12)
    return Ellipsoid((0, 0, 0), (164 * narrow - depth, 118 * narrow - depth, _FOREVER)).coverage(grid, index)


def _table(grid: Grid) -> Floats:
    across = grid.x[None, :]
    middle = np.float32(121) - np.float32(12 / 200**2) * across * across
    off = np.abs(grid.y[:, None] - middle) - np.float32(2.5)
    return edge(off, grid.spacing[1]) * (np.abs(across) < 200)  # noqa: PLR2004 - half the table's width


def _paint_spine(grid: Grid, index: int, hu: Floats) -> None:
    level = abs((grid.z[index] + _VERTEBRA_PITCH / 2) % _VERTEBRA_PITCH - _VERTEBRA_PITCH / 2)
    disc = float(np.clip(0.5 + (_DISC / 2 - level) / grid.spacing[0], 0, 1))
    _mix(hu, _ARCH.coverage(grid, index), CORTEX * 0.7)
    _mix(hu, _SPINOUS.coverage(grid, index), MARROW)
    _mix(hu, _CANAL.coverage(grid, index), SKIN)
    _mix(hu, _VERTEBRA.coverage(grid, index), CORTEX + (CARTILAGE - CORTEX) * disc)
    _mix(hu, _VERTEBRA_CORE.coverage(grid, index), MARROW + (CARTILAGE - MARROW) * disc)


def _paint_ribs(grid: Grid, index: int, hu: Floats) -> None:
    """Ribs lie on an elliptical ring, one every `_RIB_PITCH`, lower in front than behind."""
    narrow = _taper(grid.z[index], 0.3)
    x, y = grid.x[None, :] / np.float32(141 * narrow), grid.y[:, None] / np.float32(99 * narrow)
    across = (np.sqrt(x * x + y * y) - 1) * np.float32(115 * narrow)
    height = grid.z[index] - np.float32(_RIB_SLOPE) * grid.y
    level = np.abs((height + _RIB_PITCH / 2) % _RIB_PITCH - _RIB_PITCH / 2)[:, None]
    width = grid.spacing[1] / 2 + grid.spacing[0] / 8
    front = np.clip(np.abs(grid.x[None, :]) / 10 - 1.6, 0, 1).astype(np.float32)
    for half, value in ((1.0, CORTEX), (0.6, MARROW)):
        apart = np.sqrt((across / np.float32(4.2 * half)) ** 2 + (level / np.float32(6.5 * half)) ** 2)
        _mix(hu, edge((apart - 1) * np.float32(4.2 * half), width) * front, value)


def _mix(hu: Floats, coverage: Floats, value: float) -> None:
    hu += coverage * (np.float32(value) - hu)
