"""Vessels, airways and nodules as coverage of voxels, 0 to 255."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from sample_studies.nodules import Nodule
from sample_studies.shapes import Bytes, Capsule, Grid
from sample_studies.tree import Trees

_STOMACH_TOP = (60.0, -10.0, -90.0)
"""6 mm below the left dome of the diaphragm."""


@dataclass(frozen=True, eq=False)
class Tubes:
    """Three volumes [slices, rows, columns]."""

    solid: Bytes
    """Blood, airway walls and nodules."""
    lumen: Bytes
    """Air in the bronchi within the lung."""
    airway: Bytes
    """Air in trachea and main bronchi, and in the stomach."""


def paint_tubes(grid: Grid, trees: Trees, nodules: Iterable[Nodule], stomach_gas_mm: float) -> Tubes:
    """All that is finer than an organ; nodules fill the airways they meet."""
    solid, lumen, airway = (
        _painted(grid, tubes) for tubes in (trees.vessels, trees.small_airways, trees.conducting)
    )
    if stomach_gas_mm:
        x, y, top = _STOMACH_TOP
        middle = x, y, top - stomach_gas_mm / 2
        Capsule(middle, middle, stomach_gas_mm / 2).paint(grid, airway)
    np.minimum(solid, 255 - np.maximum(lumen, airway), out=solid)
    balls = _painted(grid, [Capsule(nodule.where, nodule.where, nodule.diameter / 2) for nodule in nodules])
    np.minimum(lumen, 255 - balls, out=lumen)
    return Tubes(np.maximum(solid, balls), lumen, airway)


def no_tubes(grid: Grid) -> Tubes:
    """For a body without lungs."""
    return Tubes(*(np.zeros(grid.shape, np.uint8) for _ in range(3)))


def _painted(grid: Grid, tubes: Iterable[Capsule]) -> Bytes:
    volume = np.zeros(grid.shape, np.uint8)
    for tube in tubes:
        tube.paint(grid, volume)
    return volume
