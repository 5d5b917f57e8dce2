"""From voxels to a coarse grid of about 3 x 3 x 5 mm and back."""

from onnxscript import FLOAT, INT16, INT64, UINT8
from onnxscript import opset18 as op

from models.graphs.script import function


@function
def steps(spacing: FLOAT[3]) -> INT64[3]:
    """How many voxels make one coarse voxel along slices, rows and columns."""
    aim = op.Constant(value_floats=[5.0, 2.8, 2.8])
    return op.Cast(op.Max(op.Round(aim / spacing), op.Constant(value_floats=[1.0])), to=INT64.dtype)


@function
def coarsened(hu: INT16[...], step: INT64[3]) -> FLOAT[...]:
    """Means over blocks of `step` voxels; the last voxels are repeated where a block is not full."""
    size = op.Shape(hu, start=2, end=5)
    missing = op.Mod(step - op.Mod(size, step), step)
    none = op.Constant(value_ints=[0, 0, 0, 0, 0])
    two = op.Constant(value_ints=[0, 0])
    full = op.Pad(op.Cast(hu, to=FLOAT.dtype), op.Concat(none, two, missing, axis=0), mode="edge")
    count = (size + missing) / step
    rest = op.Constant(value_ints=[-1])
    one = op.Constant(value_ints=[1])
    columns = op.ReduceMean(op.Reshape(full, op.Concat(rest, op.Gather(step, [2]), axis=0)), one, keepdims=0)
    by_row = op.Concat(rest, op.Gather(step, [1]), op.Gather(count, [2]), axis=0)
    rows = op.ReduceMean(op.Reshape(columns, by_row), one, keepdims=0)
    in_slice = op.Gather(count, [1]) * op.Gather(count, [2])
    by_slice = op.Concat(rest, op.Gather(step, [0]), in_slice, axis=0)
    slices = op.ReduceMean(op.Reshape(rows, by_slice), one, keepdims=0)
    return op.Reshape(slices, op.Concat(one, one, count, axis=0))


@function
def enlarged(coarse: UINT8[...], step: INT64[3], size: INT64[3]) -> UINT8[...]:
    """Every coarse voxel repeated over its block, cut to `size` voxels; [1, 1, D, H, W]."""
    count = op.Shape(coarse, start=2, end=5)
    one = op.Constant(value_ints=[1, 1, 1])
    pairs = op.Reshape(op.Transpose(op.Reshape(op.Concat(count, one, axis=0), [2, 3]), perm=[1, 0]), [6])
    blocks = op.Reshape(op.Transpose(op.Reshape(op.Concat(count, step, axis=0), [2, 3]), perm=[1, 0]), [6])
    spread = op.Expand(op.Reshape(coarse, pairs), blocks)
    lead = op.Constant(value_ints=[1, 1])
    whole = op.Reshape(spread, op.Concat(lead, count * step, axis=0))
    start = op.Constant(value_ints=[0, 0, 0])
    return op.Slice(whole, start, size, op.Constant(value_ints=[2, 3, 4]))
