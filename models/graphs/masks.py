"""Work on masks of zeros and ones, float32 [1, 1, D, H, W] (the type for which pooling is fast).

A loop carries one value only: onnxscript orders several by chance, and the file is to be the same every time.
"""

from onnxscript import FLOAT
from onnxscript import opset18 as op

from models.graphs.script import function


@function
def dilate(mask: FLOAT[...]) -> FLOAT[...]:
    """One voxel in all directions."""
    grown = op.MaxPool(mask, kernel_shape=[3, 3, 3], pads=[1, 1, 1, 1, 1, 1])
    return op.Identity(grown)


@function
def erode_in_slice(mask: FLOAT[...]) -> FLOAT[...]:
    """One voxel within each slice; what lies beyond the picture counts as mask."""
    rest = op.MaxPool(1.0 - mask, kernel_shape=[1, 3, 3], pads=[0, 1, 1, 0, 1, 1])
    return 1.0 - rest


@function
def flood(seed: FLOAT[...], allowed: FLOAT[...]) -> FLOAT[...]:
    """Everything in `allowed` that hangs together with `seed`."""
    grown = op.Mul(seed, allowed)
    going = op.ReduceSum(grown, keepdims=0) > 0.0
    while going:
        step = op.MaxPool(grown, kernel_shape=[3, 3, 3], pads=[1, 1, 1, 1, 1, 1]) * allowed
        going = op.ReduceSum(step, keepdims=0) > op.ReduceSum(grown, keepdims=0)
        grown = op.Identity(step)
    return grown


@function
def flood_in_slices(seed: FLOAT[...], allowed: FLOAT[...]) -> FLOAT[...]:
    """The same within each slice."""
    grown = op.Mul(seed, allowed)
    going = op.ReduceSum(grown, keepdims=0) > 0.0
    while going:
        step = op.MaxPool(grown, kernel_shape=[1, 3, 3], pads=[0, 1, 1, 0, 1, 1]) * allowed
        going = op.ReduceSum(step, keepdims=0) > op.ReduceSum(grown, keepdims=0)
        grown = op.Identity(step)
    return grown


@function
def total(mask: FLOAT[...]) -> FLOAT[1]:
    """How many voxels a mask has."""
    return op.Reshape(op.ReduceSum(mask, keepdims=0), op.Constant(value_ints=[1]))
