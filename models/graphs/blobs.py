"""Bright blobs of any size in a volume of 1 mm voxels: maxima of differences of Gaussians.

Volumes are float32 [1, 1, D, H, W] with 0 as background; a blob of diameter d answers most to Gaussians
of about d / 3.5.
"""

import numpy as np
import onnx
from onnxscript import FLOAT, INT64
from onnxscript import opset18 as op

from models.graphs.script import function


def _gaussian(sigma: float, name: str) -> onnx.TensorProto:
    reach = round(3 * sigma)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return onnx.numpy_helper.from_array((weights / weights.sum()).astype(np.float32), name)


ONE = _gaussian(1.0, "gaussian_of_1_voxel")
ROOT = _gaussian(2**0.5, "gaussian_of_1.41_voxels")
TWO = _gaussian(2.0, "gaussian_of_2_voxels")


@function
def blurred_by_1(volume: FLOAT[...]) -> FLOAT[...]:
    """By a Gaussian of one voxel."""
    weights = op.Constant(value=ONE)
    z = op.Reshape(weights, op.Constant(value_ints=[1, 1, -1, 1, 1]))
    y = op.Reshape(weights, op.Constant(value_ints=[1, 1, 1, -1, 1]))
    x = op.Reshape(weights, op.Constant(value_ints=[1, 1, 1, 1, -1]))
    along_z = op.Conv(volume, z, pads=[3, 0, 0, 3, 0, 0])
    along_y = op.Conv(along_z, y, pads=[0, 3, 0, 0, 3, 0])
    return op.Conv(along_y, x, pads=[0, 0, 3, 0, 0, 3])


@function
def blurred_by_root(volume: FLOAT[...]) -> FLOAT[...]:
    """By a Gaussian of 1.41 voxels."""
    weights = op.Constant(value=ROOT)
    z = op.Reshape(weights, op.Constant(value_ints=[1, 1, -1, 1, 1]))
    y = op.Reshape(weights, op.Constant(value_ints=[1, 1, 1, -1, 1]))
    x = op.Reshape(weights, op.Constant(value_ints=[1, 1, 1, 1, -1]))
    along_z = op.Conv(volume, z, pads=[4, 0, 0, 4, 0, 0])
    along_y = op.Conv(along_z, y, pads=[0, 4, 0, 0, 4, 0])
    return op.Conv(along_y, x, pads=[0, 0, 4, 0, 0, 4])


@function
def blurred_by_2(volume: FLOAT[...]) -> FLOAT[...]:
    """By a Gaussian of two voxels."""
    weights = op.Constant(value=TWO)
    z = op.Reshape(weights, op.Constant(value_ints=[1, 1, -1, 1, 1]))
    y = op.Reshape(weights, op.Constant(value_ints=[1, 1, 1, -1, 1]))
    x = op.Reshape(weights, op.Constant(value_ints=[1, 1, 1, 1, -1]))
    along_z = op.Conv(volume, z, pads=[6, 0, 0, 6, 0, 0])
    along_y = op.Conv(along_z, y, pads=[0, 6, 0, 0, 6, 0])
    return op.Conv(along_y, x, pads=[0, 0, 6, 0, 0, 6])


@function
def halved(volume: FLOAT[...]) -> FLOAT[...]:
    """Every second voxel along each axis, from the first on."""
    last = op.Constant(value_ints=[9223372036854775807])
    far = op.Concat(last, last, last, axis=0)
    start = op.Constant(value_ints=[0, 0, 0])
    return op.Slice(volume, start, far, op.Constant(value_ints=[2, 3, 4]), op.Constant(value_ints=[2, 2, 2]))


@function
def peaks(answer: FLOAT[...], mask: FLOAT[...], most: INT64[1]) -> tuple[FLOAT[...], FLOAT[...]]:
    """The `most` highest voxels that no neighbour within two voxels exceeds; heights [N], indices [N, 3]."""
    z = op.MaxPool(answer, kernel_shape=[5, 1, 1], pads=[2, 0, 0, 2, 0, 0])
    y = op.MaxPool(z, kernel_shape=[1, 5, 1], pads=[0, 2, 0, 0, 2, 0])
    x = op.MaxPool(y, kernel_shape=[1, 1, 5], pads=[0, 0, 2, 0, 0, 2])
    peak = op.Cast(op.GreaterOrEqual(answer, x), to=FLOAT.dtype) * mask * answer
    heights, flat = op.TopK(op.Reshape(peak, op.Constant(value_ints=[-1])), op.Min(most, op.Size(peak)))
    rows = op.Shape(answer, start=3, end=4)
    columns = op.Shape(answer, start=4, end=5)
    z_index = flat / (rows * columns)
    y_index = op.Mod(flat / columns, rows)
    x_index = op.Mod(flat, columns)
    places = op.Concat(
        op.Unsqueeze(z_index, [1]), op.Unsqueeze(y_index, [1]), op.Unsqueeze(x_index, [1]), axis=1
    )
    return heights, op.Cast(places, to=FLOAT.dtype)


@function
def blobs(volume: FLOAT[...], mask: FLOAT[...]) -> tuple[FLOAT[...], FLOAT[...]]:
    """Blobs of 3 to 25 mm with their centres in `mask`: heights [N], places [N, 3] in voxels."""
    sigma_1 = blurred_by_1(volume)
    sigma_1_4 = blurred_by_1(sigma_1)
    sigma_2 = blurred_by_root(sigma_1_4)
    small = op.Max(sigma_1 - sigma_1_4, sigma_1_4 - sigma_2)
    small_heights, small_places = peaks(small, mask, op.Constant(value_ints=[4096]))
    coarse_2 = halved(sigma_2)
    coarse_mask = halved(mask)
    sigma_2_8 = blurred_by_1(coarse_2)
    sigma_4 = blurred_by_root(sigma_2_8)
    sigma_5_7 = blurred_by_2(sigma_4)
    medium = op.Max(coarse_2 - sigma_2_8, sigma_2_8 - sigma_4, sigma_4 - sigma_5_7)
    heights, places = peaks(medium, coarse_mask, op.Constant(value_ints=[1024]))
    return op.Concat(small_heights, heights, axis=0), op.Concat(small_places, places * 2.0, axis=0)
