"""What a phantom really contains, measured over its true masks on its own noisy CT numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sample_studies.nodules import Nodule
from sample_studies.shapes import Grid, Point

_EMPHYSEMA_HU = -950
_LOWEST_HU = -1024


@dataclass(frozen=True)
class TrueNodule:
    """A nodule and its centre in voxels (slice, row, column) and in mm (x, y, z) of the patient."""

    voxel: Point
    centre: Point
    diameter: float
    pleural: bool


@dataclass(frozen=True, eq=False)
class Truth:
    """The lungs of a phantom.

    Lung is what lies mostly within the lungs' outlines and is neither vessel, nodule nor airway wall, nor
    the lumen of trachea and main bronchi.
    """

    labels: npt.NDArray[np.uint8]
    """0 outside, 1 right lung, 2 left lung; [slices, rows, columns] as the CT numbers."""
    volume_ml: tuple[float, float, float]
    """Both lungs, right, left."""
    mean_hu: float | None
    """None without lungs, as the next two."""
    laa950_percent: float | None
    """Share of lung voxels at -950 HU or below."""
    perc15_hu: int | None
    """The lowest CT number below or at which 15 % of the lung voxels lie."""
    nodules: tuple[TrueNodule, ...]

    def summary(self) -> dict[str, Any]:
        """The numbers without the masks, as JSON can hold them."""
        return {
            "volume_ml": [round(value, 2) for value in self.volume_ml],
            "mean_hu": None if self.mean_hu is None else round(self.mean_hu, 3),
            "laa950_percent": None if self.laa950_percent is None else round(self.laa950_percent, 3),
            "perc15_hu": self.perc15_hu,
            "nodules": [
                {"voxel": nodule.voxel, "centre_mm": nodule.centre, "diameter_mm": nodule.diameter}
                | {"pleural": nodule.pleural}
                for nodule in self.nodules
            ],
        }


def measure(
    hu: npt.NDArray[np.int16],
    labels: npt.NDArray[np.uint8],
    voxel_mm: tuple[float, float, float],
    nodules: Sequence[Nodule],
    grid: Grid,
) -> Truth:
    """The truth of a volume [slices, rows, columns] with its true labels."""
    voxel_ml = float(np.prod(voxel_mm)) / 1000
    right, left = (int((labels == side).sum()) * voxel_ml for side in (1, 2))
    counts = _histogram(hu[labels > 0])
    total = int(counts.sum())
    below = np.cumsum(counts)
    values = np.arange(counts.size) + _LOWEST_HU
    return Truth(
        labels=labels,
        volume_ml=(right + left, right, left),
        mean_hu=float((counts * values).sum() / total) if total else None,
        laa950_percent=float(100 * below[_EMPHYSEMA_HU - _LOWEST_HU] / total) if total else None,
        perc15_hu=int(np.searchsorted(below, 0.15 * total) + _LOWEST_HU) if total else None,
        nodules=tuple(_true(nodule, grid) for nodule in nodules),
    )


def _histogram(hu: npt.NDArray[np.int16]) -> npt.NDArray[np.int64]:
    return np.bincount(
        np.clip(hu, _LOWEST_HU, None).astype(np.int64) - _LOWEST_HU, minlength=_EMPHYSEMA_HU - _LOWEST_HU + 1
    )


def _true(nodule: Nodule, grid: Grid) -> TrueNodule:
    x, y, z = nodule.where
    at = [
        round(float((value - axis[0]) / step), 3)
        for value, axis, step in zip((z, y, x), (grid.z, grid.y, grid.x), grid.spacing, strict=True)
    ]
    centre = round(x, 3), round(y, 3), round(z, 3)
    return TrueNodule((at[0], at[1], at[2]), centre, nodule.diameter, nodule.pleural)
