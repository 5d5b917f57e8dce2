"""A chest radiograph, made by adding up what a phantom's CT weighs from front to back."""

import numpy as np
import numpy.typing as npt

from sample_studies.chest import ChestPhantom
from sample_studies.shapes import Floats

_WATER_PER_MM = 0.02
_BODY = (166.0, 120.0)
_THINNEST, _THICKEST = 0.3, 5.8
_WHITE = 4095


def project(phantom: ChestPhantom) -> tuple[npt.NDArray[np.uint16], float]:
    """A parallel-beam postero-anterior projection and its pixel distance in mm.

    Returns:
        Pixels [rows, columns] of 12 bits, dense tissue bright, row 0 at the head, column 0 at the
        patient's right; rows and columns are equally far apart.
    """
    path = np.stack([_path(phantom, index) for index in range(phantom.slices)])[::-1]
    pixel_mm = phantom.grid.spacing[2]
    rows = int((phantom.slices - 1) * phantom.spacing / pixel_mm) + 1
    at = np.arange(rows) * (pixel_mm / phantom.spacing)
    low = np.minimum(at.astype(np.intp), phantom.slices - 2)
    part = (at - low)[:, None]
    film = path[low] * (1 - part) + path[low + 1] * part
    shade = np.clip((film - _THINNEST) / (_THICKEST - _THINNEST), 0, 1)
    return np.rint(shade * _WHITE).astype(np.uint16), pixel_mm


def _path(phantom: ChestPhantom, index: int) -> Floats:
    """Attenuation along the beam for each column of one slice; the CT's table is left out."""
    grid = phantom.grid
    patient = (grid.x[None, :] / _BODY[0]) ** 2 + (grid.y[:, None] / _BODY[1]) ** 2 <= 1
    density = np.maximum(phantom.hu[index].astype(np.float32) + 1000, 0) * patient
    return np.asarray(density.sum(axis=0) * np.float32(_WATER_PER_MM / 1000 * grid.spacing[1]))
