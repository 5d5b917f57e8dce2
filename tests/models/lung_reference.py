"""Lung mask and densitometry with scipy, at full resolution: another way to the same numbers."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

AIR_HU = -450
IN_SLICE = ndimage.generate_binary_structure(3, 1) & np.array([0, 1, 0], bool)[:, None, None]
SMALLEST_LUNG_ML = 100
WIDEST_AIRWAY_CM2 = 9.0


@dataclass(frozen=True)
class Reference:
    mask: np.ndarray
    volume_ml: float
    mean_hu: float
    laa950_percent: float
    perc15_hu: float


def measure(hu, spacing):
    """`hu` [slices from the feet, rows, columns], spacing (z, y, x) in mm."""
    inside = without_outside(hu < AIR_HU)
    lungs = largest(inside & ~airway(inside, spacing), spacing)
    values = np.sort(hu[lungs])
    if not values.size:
        return Reference(lungs, 0.0, np.nan, np.nan, np.nan)
    return Reference(
        mask=lungs,
        volume_ml=values.size * np.prod(spacing) / 1000,
        mean_hu=values.mean(),
        laa950_percent=100 * np.searchsorted(values, -950, side="right") / values.size,
        perc15_hu=values[int(np.ceil(0.15 * values.size)) - 1],
    )


def without_outside(air):
    """Air that no path within its slice joins with the edge of the picture."""
    parts, _ = ndimage.label(air, IN_SLICE)
    rim = np.concatenate([parts[:, [0, -1]].ravel(), parts[:, :, [0, -1]].ravel()])
    keep = np.ones(parts.max() + 1, bool)
    keep[np.unique(rim)] = False
    keep[0] = False
    return keep[parts]


def airway(inside, spacing):
    """The windpipe, followed downwards from slice to slice as long as what continues it stays narrow."""
    pixel_cm2 = spacing[1] * spacing[2] / 100
    found = np.zeros_like(inside)
    middle = inside.shape[2] // 2
    last = None
    for index in range(inside.shape[0] - 1, -1, -1):
        parts, count = ndimage.label(inside[index])
        areas = ndimage.sum_labels(inside[index], parts, range(1, count + 1)) * pixel_cm2
        narrow = [part for part, area in enumerate(areas, 1) if 0.3 < area < WIDEST_AIRWAY_CM2]
        if last is None:
            centres = {part: ndimage.center_of_mass(parts == part)[1] for part in narrow}
            chosen = [part for part in narrow if abs(centres[part] - middle) * spacing[2] < 20]
        else:
            chosen = [part for part in narrow if (last & (parts == part)).any()]
        if chosen:
            found[index] = np.isin(parts, chosen)
            last = found[index]
        elif last is not None:
            break
    return found


def largest(air, spacing):
    """The one or two large pieces that are left, when a thread of tissue no longer joins them with others."""
    parts, count = ndimage.label(air)
    volumes = ndimage.sum_labels(air, parts, range(1, count + 1)) * np.prod(spacing) / 1000
    order = np.argsort(volumes)[::-1][:2]
    chosen = [part + 1 for part in order if volumes[part] > SMALLEST_LUNG_ML]
    return np.isin(parts, chosen)
