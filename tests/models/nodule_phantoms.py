"""Phantoms with nodules: those the score was fitted on, and those it is judged by."""

import numpy as np

from sample_studies import ChestPhantom, Nodule

FITTED = range(100, 132)
JUDGED = range(500, 524)

_SERIES = ((120, 2.5), (240, 1.25), (100, 3.0))
_NEAR_MM = 3.0


def phantom(seed):
    """Six solid nodules of 4 to 12 mm and three of 5 to 12 mm on the wall; the scan varies with the seed."""
    rng = np.random.default_rng(seed)
    solid = [Nodule(float(np.round(size, 1))) for size in rng.uniform(4, 12, 6)]
    pleural = [Nodule(float(np.round(size, 1)), pleural=True) for size in rng.uniform(5, 12, 3)]
    slices, spacing = _SERIES[seed % 3]
    return ChestPhantom(
        slices=slices,
        spacing=spacing,
        seed=seed,
        noise=float(rng.choice([10, 20, 35])),
        emphysema=float(rng.choice([0, 0.05, 0.2])),
        nodules=(*solid, *pleural),
    )


def distances_mm(places, nodule, voxel_mm):
    """From each place [N, 3] in voxels to the centre of a nodule."""
    return np.linalg.norm((places - np.array(nodule.voxel)) * np.array(voxel_mm), axis=1)


def is_hit(distance_mm, nodule):
    """Within the nodule, or within 3 mm of the centre of a small one."""
    return distance_mm <= max(nodule.diameter / 2, _NEAR_MM)
