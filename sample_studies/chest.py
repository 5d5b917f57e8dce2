"""A chest CT that is made, not measured: every voxel's tissue is known before the noise is added."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from sample_studies import anatomy
from sample_studies.anatomy import Side
from sample_studies.nodules import Nodule, placed
from sample_studies.shapes import Bytes, Floats, Grid
from sample_studies.texture import Texture, blur
from sample_studies.tree import Trees, grow
from sample_studies.truth import Truth, measure
from sample_studies.tubes import Tubes, no_tubes, paint_tubes

_PARENCHYMA, _EMPHYSEMA, _BLOOD, _LUMEN = -862.0, -985.0, 42.0, -995.0
_GRAVITY = 0.28
"""How much denser a lung gets towards the back, HU per mm, lying on the back."""
_TEXTURE = 14.0
_POINT_SPREAD_MM = 0.5
"""Standard deviation of the scanner's blur within the slice."""
_HALF = 128
_FIELD_OF_VIEW = 358.4


@dataclass(frozen=True)
class ChestPhantom:
    """A chest from the neck to the upper abdomen, head up, axial slices ordered from the feet to the head.

    The anatomy is 300 mm high and always the same size; fewer or narrower slices show less of it. Equal
    parameters give equal voxels.
    """

    slices: int = 120
    rows: int = 512
    columns: int = 512
    spacing: float = 2.5
    """Distance and thickness of slices, mm."""
    pixel_mm: float = 0.0
    """Distance of rows and columns, mm; 0 shows the whole body. Less than that crops the picture."""
    emphysema: float = 0.0
    """Fraction 0..1 of the lung that is destroyed."""
    nodules: tuple[Nodule, ...] = ()
    noise: float = 20.0
    """Standard deviation of the noise, HU."""
    seed: int = 1
    lungs: bool = True
    """False leaves soft tissue in their place: a picture no lung model should answer."""
    stomach_gas_mm: float = 0.0
    """Diameter of a gas bubble under the left dome of the diaphragm."""
    padding: int | None = None
    """Value outside the scanner's round field of view, such as -2000."""

    @property
    def voxel_mm(self) -> tuple[float, float, float]:
        """Distance of voxel centres (z, y, x), mm."""
        in_plane = self.pixel_mm or _FIELD_OF_VIEW / self.columns
        return self.spacing, in_plane, in_plane

    @cached_property
    def grid(self) -> Grid:
        """Where the voxels are in the patient."""
        return Grid.centred((self.slices, self.rows, self.columns), self.voxel_mm)

    @property
    def hu(self) -> npt.NDArray[np.int16]:
        """CT numbers [slices, rows, columns]; the first are nearest feet, front and right side."""
        return self._scan[0]

    @property
    def truth(self) -> Truth:
        """What is really in the picture."""
        return self._scan[1]

    @cached_property
    def _trees(self) -> Trees:
        return grow(np.random.default_rng([self.seed, 1]))

    @cached_property
    def _nodules(self) -> tuple[Nodule, ...]:
        return placed(self.nodules, self._trees.vessels, np.random.default_rng([self.seed, 2]))

    @cached_property
    def _scan(self) -> tuple[npt.NDArray[np.int16], Truth]:
        hu = np.empty(self.grid.shape, np.int16)
        labels = np.zeros(self.grid.shape, np.uint8)
        tubes = self._tubes()
        texture = Texture(self.grid, self.emphysema, self.seed)
        for index in range(self.slices):
            clean = np.full(hu.shape[1:], anatomy.AIR, np.float32)
            anatomy.paint_body(self.grid, index, clean, lungs=self.lungs)
            if self.lungs:
                labels[index] = self._paint_lungs(index, clean, texture, tubes)
                _mix(clean, tubes.airway[index], _LUMEN)
            self._expose(index, clean, hu[index])
        return hu, measure(hu, labels, self.voxel_mm, self._nodules if self.lungs else (), self.grid)

    def _tubes(self) -> Tubes:
        if not self.lungs:
            return no_tubes(self.grid)
        return paint_tubes(self.grid, self._trees, self._nodules, self.stomach_gas_mm)

    def _paint_lungs(self, index: int, hu: Floats, texture: Texture, tubes: Tubes) -> npt.NDArray[np.uint8]:
        labels = np.zeros(hu.shape, np.uint8)
        sides = {side: anatomy.lung(self.grid, index, side) for side in Side}
        if not any(inside.any() for inside in sides.values()):
            return labels
        gravity = (_GRAVITY * self.grid.y)[:, None]
        field = texture.slice(index)
        tissue = _PARENCHYMA + gravity + np.float32(_TEXTURE) * field
        tissue += texture.destroyed(field) * (np.float32(_EMPHYSEMA) - tissue)
        _mix(tissue, tubes.lumen[index], _LUMEN)
        _mix(tissue, tubes.solid[index], _BLOOD)
        aerated = (tubes.solid[index] < _HALF) & (tubes.airway[index] < _HALF)
        for side, inside in sides.items():
            hu += inside * (tissue - hu)
            labels[aerated & (inside >= _HALF / 255)] = side.value
        return labels

    def _expose(self, index: int, clean: Floats, out: npt.NDArray[np.int16]) -> None:
        # Three weights whose variance, 2 side pixels squared, is that of the blur.
        side = min((_POINT_SPREAD_MM / self.grid.spacing[1]) ** 2 / 2, 0.25)
        blurred = blur(clean, side)
        rng = np.random.default_rng([self.seed, 3, index])
        grain = blur(rng.standard_normal(clean.shape, np.float32), side)
        # Averaging makes noise smaller: by the root of the sum of squared weights, once per axis.
        grain *= np.float32(self.noise / (2 * side**2 + (1 - 2 * side) ** 2))
        np.clip(np.rint(blurred + grain), -1024, 3071, out=blurred)
        out[:] = blurred
        if self.padding is not None:
            radius = self.grid.spacing[2] * self.columns / 2
            out[np.hypot(self.grid.x[None, :], self.grid.y[:, None]) > radius] = self.padding


def _mix(hu: Floats, coverage: Bytes, value: float) -> None:
    if coverage.any():
        hu += coverage.astype(np.float32) / np.float32(255) * (np.float32(value) - hu)
