"""ct-lung-density: both lungs of an axial CT, how large they are and how much of them is air."""

import onnx
from onnxscript import BOOL, DOUBLE, FLOAT, INT16, INT32, UINT8
from onnxscript import opset18 as op

from models.graphs.grids import coarsened, enlarged, steps
from models.graphs.lungs import meets_edge, segmented
from models.graphs.masks import total
from models.graphs.script import function, model_of


@function
def histograms(hu: INT16[...], labels: UINT8[...]) -> DOUBLE[3, 1024]:
    """Voxels per CT number from -1024 to -1 in both lungs, right, left; float64 [3, 1024]."""
    flat = op.Constant(value_ints=[-1])
    label = op.Reshape(labels, flat)
    inside = op.Cast(label, to=BOOL.dtype)
    value = op.Cast(op.Compress(op.Reshape(hu, flat), inside), to=INT32.dtype)
    lowest = op.Constant(value=onnx.helper.make_tensor("lowest", onnx.TensorProto.INT32, [1], [-1024]))
    width = op.Constant(value=onnx.helper.make_tensor("width", onnx.TensorProto.INT32, [1], [1024]))
    side = op.Cast(op.Compress(label, inside), to=INT32.dtype)
    # Label 1 and -1024 HU is bin 0.
    index = op.Max(value, lowest) - lowest + (side * width - width)
    one = op.Constant(value=onnx.helper.make_tensor("one", onnx.TensorProto.INT32, [1], [1]))
    zero = op.Constant(value=onnx.helper.make_tensor("zero", onnx.TensorProto.INT32, [1], [0]))
    empty = op.Expand(zero, op.Constant(value_ints=[2048]))
    counts = op.ScatterElements(empty, index, op.Expand(one, op.Shape(index)), axis=0, reduction="add")
    sides = op.Cast(op.Reshape(counts, op.Constant(value_ints=[2, 1024])), to=DOUBLE.dtype)
    return op.Concat(op.ReduceSum(sides, op.Constant(value_ints=[0]), keepdims=1), sides, axis=0)


@function
def density(counts: DOUBLE[3, 1024], voxel_ml: FLOAT) -> FLOAT[3, 4]:
    """Volume ml, mean HU, percent at -950 HU or below, 15th percentile; NaN after a volume of 0."""
    along = op.Constant(value_ints=[1])
    voxels = op.ReduceSum(counts, along, keepdims=0)
    first, last, by = op.Constant(value_int=-1024), op.Constant(value_int=0), op.Constant(value_int=1)
    values = op.Cast(op.Range(first, last, by), to=DOUBLE.dtype)
    mean = op.ReduceSum(counts * values, along, keepdims=0) / voxels
    below = op.CumSum(counts, op.Constant(value_int=1))
    emphysema = op.Gather(below, op.Constant(value_int=74), axis=1)
    laa950 = op.CastLike(100.0, voxels) * emphysema / voxels
    limit = op.Unsqueeze(op.CastLike(0.15, voxels) * voxels, along)
    lower = op.ReduceSum(op.CastLike(op.Less(below, limit), voxels), along, keepdims=0)
    # 0 / 0 is NaN, and so is all that is added to it.
    perc15 = lower - op.CastLike(1024.0, voxels) + (voxels / voxels - op.CastLike(1.0, voxels))
    volume = voxels * op.CastLike(voxel_ml, voxels)
    columns = op.Concat(volume, mean, laa950, perc15, axis=0)
    by_number = op.Reshape(columns, op.Constant(value_ints=[4, 3]))
    return op.Cast(op.Transpose(by_number, perm=[1, 0]), to=FLOAT.dtype)


@function
def aerated(hu: INT16[...], blocks: UINT8[...]) -> UINT8[...]:
    """The labels where the CT number is nearer to that of lung than to that of blood, else 0."""
    limit = op.Constant(value=onnx.helper.make_tensor("limit", onnx.TensorProto.INT16, [1], [-450]))
    none = op.Constant(value=onnx.helper.make_tensor("none", onnx.TensorProto.UINT8, [1], [0]))
    return op.Where(op.Less(hu, limit), blocks, none)


@function
def end_contact(labels: UINT8[...], spacing: FLOAT[3]) -> FLOAT[2]:
    """Area of the lungs in the lowest and in the highest slice, cm2."""
    ends = op.Gather(labels, op.Constant(value_ints=[0, -1]), axis=2)
    lung = op.Cast(op.Cast(ends, to=BOOL.dtype), to=FLOAT.dtype)
    count = op.ReduceSum(lung, op.Constant(value_ints=[0, 1, 3, 4]), keepdims=0)
    return count * op.ReduceProd(op.Gather(spacing, op.Constant(value_ints=[1, 2]))) / 100.0


@function
def ct_lung_density(
    hu: INT16[1, 1, None, None, None], spacing: FLOAT[3]
) -> tuple[UINT8[1, 1, None, None, None], FLOAT[3, 4], FLOAT[1], FLOAT[2], FLOAT[1]]:
    """Labels (1 right, 2 left), their numbers, and what tells whether the answer is to be trusted.

    Measurements: both lungs, right, left by volume ml, mean HU, LAA-950 %, Perc15 HU. Then the large
    airways, how much lung lies in the lowest and the highest slice, and how much lung lies at the edge.
    """
    step = steps(spacing)
    coarse = coarsened(hu, step)
    coarse_mm = spacing * op.Cast(step, to=FLOAT.dtype)
    right, left, airway = segmented(coarse, op.Gather(coarse_mm, op.Constant(value_int=2)))
    lungs = op.Cast(right + left * 2.0, to=UINT8.dtype)
    labels = aerated(hu, enlarged(lungs, step, op.Shape(hu, start=2, end=5)))
    measurements = density(histograms(hu, labels), op.ReduceProd(spacing, keepdims=0) / 1000.0)
    airway_ml = total(airway) * op.ReduceProd(coarse_mm) / 1000.0
    end_contact_cm2 = end_contact(labels, spacing)
    side_cm2 = op.ReduceProd(op.Gather(coarse_mm, op.Constant(value_ints=[0, 1]))) / 100.0
    edge_contact_cm2 = total(meets_edge(coarse)) * side_cm2
    return labels, measurements, airway_ml, end_contact_cm2, edge_contact_cm2


def build() -> onnx.ModelProto:
    """The model, the same bytes every time."""
    return model_of(ct_lung_density, "ct_lung_density")
