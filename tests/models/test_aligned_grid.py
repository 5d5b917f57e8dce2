"""A volume on another's grid: by where both lie in the patient, whichever way they are turned."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from models.aligned_grid import AlignedGrid

SHAPE, SIZE = (6, 20, 24), (14, 30, 28)


def affine(spacing, degrees=(0, 0, 0), origin=(0, 0, 0)):
    """(slice, row, column, 1) → (x, y, z, 1) in mm, of a stack turned by these angles."""
    matrix = np.eye(4)
    # Slices run along z, rows along y, columns along x.
    axes = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], float).T * spacing
    matrix[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() @ axes
    matrix[:3, 3] = origin
    return matrix


def places(shape, matrix):
    """x, y, z of every voxel."""
    index = np.indices(shape).reshape(3, -1)
    return (matrix @ np.vstack([index, np.ones(index.shape[1])]))[:3].reshape(3, *shape)


def ramp(where):
    """Linear in the patient, so that linear interpolation gives it exactly."""
    x, y, z = where
    return (3 * x - 2 * y + 0.5 * z + 40).astype(np.float32)


@pytest.mark.parametrize("degrees", [(0, 0, 0), (11, 0, 0), (-20, 15, 40), (180, 0, 90)])
def test_a_value_stays_at_its_place_in_the_patient(degrees):
    target = affine((5, 1, 1), origin=(-10, -9, -12))
    centre = places(SHAPE, target).mean(axis=(1, 2, 3))
    source = affine((2.5, 1.25, 1.5), degrees)
    source[:3, 3] = centre - source[:3, :3] @ ((np.array(SIZE) - 1) / 2)
    grid = AlignedGrid(SHAPE, np.linalg.inv(source) @ target)
    sampled = grid.sampled(ramp(places(SIZE, source)), outside=-999)
    inside = sampled != -999
    assert inside.mean() > 0.4
    assert grid.coverage(SIZE) == pytest.approx(inside.mean())
    inner = AlignedGrid(SHAPE, grid.matrix)._inside(np.array(SIZE) - 1) & inside
    index = np.einsum("ij,j...->i...", grid.matrix[:3, :3], np.indices(SHAPE).astype(float))
    index += grid.matrix[:3, 3].reshape(3, 1, 1, 1)
    inner &= (index >= 0).all(axis=0)
    np.testing.assert_allclose(sampled[inner], ramp(places(SHAPE, target))[inner], atol=2e-3)


def test_a_volume_on_its_own_grid_is_not_copied():
    volume = np.zeros(SHAPE, np.int16)
    nearly = np.eye(4) + 1e-7
    assert AlignedGrid(SHAPE, nearly).sampled(volume, 0) is volume


def test_what_lies_beside_covers_nothing():
    away = np.eye(4)
    away[0, 3] = 100
    grid = AlignedGrid(SHAPE, away)
    assert grid.coverage(SHAPE) == 0
    assert (grid.sampled(np.ones(SHAPE, np.int16), -7) == -7).all()
