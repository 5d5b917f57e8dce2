"""ct-nodule-candidates: round dense spots in the lungs of an axial CT with thin slices."""

import onnx
from onnxscript import BOOL, FLOAT, INT16, INT64, UINT8
from onnxscript import opset18 as op

from models.graphs.blobs import blobs
from models.graphs.grids import coarsened, enlarged, steps
from models.graphs.lungs import meets_edge, segmented
from models.graphs.masks import total
from models.graphs.rays import compact, features
from models.graphs.scores import score
from models.graphs.script import function, model_of


@function
def closed_in_slice(mask: FLOAT[...]) -> FLOAT[...]:
    """Holes and notches up to about 2.5 cm are filled within each slice."""
    rows = op.MaxPool(mask, kernel_shape=[1, 9, 1], pads=[0, 4, 0, 0, 4, 0])
    wide = op.MaxPool(rows, kernel_shape=[1, 1, 9], pads=[0, 0, 4, 0, 0, 4])
    rest_rows = op.MaxPool(1.0 - wide, kernel_shape=[1, 9, 1], pads=[0, 4, 0, 0, 4, 0])
    return 1.0 - op.MaxPool(rest_rows, kernel_shape=[1, 1, 9], pads=[0, 0, 4, 0, 0, 4])


@function
def extent(mask: FLOAT[...], others: INT64[...]) -> INT64[2]:
    """First and last-but-one index of the mask along the axis that `others` leaves; 0 and 4 without mask."""
    profile = op.Cast(op.Greater(op.ReduceMax(mask, others, keepdims=0), 0.0), to=FLOAT.dtype)
    first = op.ArgMax(profile, axis=0, keepdims=1)
    last = op.ArgMax(profile, axis=0, keepdims=1, select_last_index=1)
    there = op.Cast(op.ReduceMax(profile, [0], keepdims=1), to=BOOL.dtype)
    start = op.Where(there, first, op.Constant(value_ints=[0]))
    stop = op.Where(there, last + op.Constant(value_ints=[1]), op.Constant(value_ints=[4]))
    return op.Concat(start, stop, axis=0)


@function
def box(mask: FLOAT[...]) -> tuple[INT64[3], INT64[3]]:
    """The smallest box [start, stop) around a mask."""
    z = extent(mask, op.Constant(value_ints=[0, 1, 3, 4]))
    y = extent(mask, op.Constant(value_ints=[0, 1, 2, 4]))
    x = extent(mask, op.Constant(value_ints=[0, 1, 2, 3]))
    first, second = op.Constant(value_ints=[0]), op.Constant(value_ints=[1])
    start = op.Concat(op.Gather(z, first), op.Gather(y, first), op.Gather(x, first), axis=0)
    stop = op.Concat(op.Gather(z, second), op.Gather(y, second), op.Gather(x, second), axis=0)
    return start, stop


@function
def lungs_of(coarse: FLOAT[...], coarse_mm: FLOAT[3]) -> FLOAT[...]:
    """Both lungs with what they enclose, on the coarse grid."""
    right, left, airway = segmented(coarse, op.Gather(coarse_mm, op.Constant(value_int=2)))
    return closed_in_slice(op.Max(right, left)) * (1.0 - airway)


@function
def cropped(hu: INT16[...], lungs: FLOAT[...], step: INT64[3]) -> tuple[FLOAT[...], FLOAT[...], INT64[3]]:
    """The box around the lungs at full resolution: CT numbers, mask, and the box's first voxel."""
    first, last = box(lungs)
    # Rays look beyond the lungs, and so must the box.
    margin = op.Constant(value_ints=[2, 4, 4])
    start, stop = op.Max(first - margin, op.Constant(value_ints=[0])), last + margin
    axes = op.Constant(value_ints=[2, 3, 4])
    values = op.Slice(hu, start * step, stop * step, axes)
    part = op.Cast(op.Slice(lungs, start, stop, axes), to=UINT8.dtype)
    mask = enlarged(part, step, op.Shape(values, start=2, end=5))
    return op.Cast(values, to=FLOAT.dtype), op.Cast(mask, to=FLOAT.dtype), start * step


@function
def resampled(volume: FLOAT[...], spacing: FLOAT[3]) -> FLOAT[...]:
    """The volume in voxels of 1 mm, or as near to it as whole voxels allow."""
    size = op.Shape(volume, start=2, end=5)
    count = op.Max(op.Round(op.Cast(size, to=FLOAT.dtype) * spacing), op.Constant(value_floats=[1.0]))
    sizes = op.Concat(op.Constant(value_ints=[1, 1]), op.Cast(count, to=INT64.dtype), axis=0)
    return op.Resize(volume, None, None, sizes, mode="linear")


@function
def clear_of_ends(mask: FLOAT[...]) -> FLOAT[...]:
    """The mask without the lowest and highest 3 mm (voxels of 1 mm): what a scan cuts off looks round."""
    count = op.Squeeze(op.Shape(mask, start=2, end=3))
    index = op.Range(op.Constant(value_int=0), count, op.Constant(value_int=1))
    from_end = op.Min(index, count - op.Constant(value_int=1) - index)
    clear = op.Cast(op.GreaterOrEqual(from_end, op.Constant(value_int=3)), to=FLOAT.dtype)
    return mask * op.Reshape(clear, op.Constant(value_ints=[1, 1, -1, 1, 1]))


@function
def described(
    hu: INT16[...], spacing: FLOAT[3], lungs: FLOAT[...], step: INT64[3]
) -> tuple[FLOAT[...], FLOAT[...]]:
    """Blobs in the lungs (a mask on the coarse grid): places [N, 3] in voxels of `hu`, features [N, 13]."""
    values, mask, start = cropped(hu, lungs, step)
    dense = op.Clip(resampled(values, spacing), -1000.0, 100.0) + 850.0
    inside = clear_of_ends(op.Cast(op.Greater(resampled(mask, spacing), 0.5), to=FLOAT.dtype))
    all_heights, all_places = blobs(dense * inside, inside)
    fine = op.Cast(op.Shape(dense, start=2, end=5), to=FLOAT.dtype)
    native = op.Cast(op.Shape(values, start=2, end=5), to=FLOAT.dtype)
    voxel = native / fine
    voxel_mm = voxel * spacing
    places, heights = compact(dense, all_places, voxel_mm, all_heights)
    in_hu = (places + 0.5) * voxel - 0.5 + op.Cast(start, to=FLOAT.dtype)
    return in_hu, features(dense, places, voxel_mm, heights)


@function
def apart(places_mm: FLOAT[...], radius: FLOAT[...]) -> FLOAT[...]:
    """1 for every place [N, 3] that lies outside the balls, at least 3 mm, of all places before it."""
    between = op.Unsqueeze(places_mm, [1]) - op.Unsqueeze(places_mm, [0])
    distance = op.Sqrt(op.ReduceSum(between * between, [2], keepdims=0))
    near = op.Cast(op.Less(distance, op.Max(radius, op.Constant(value_floats=[3.0]))), to=FLOAT.dtype)
    before = op.Trilu(near, op.Constant(value_int=1), upper=1)
    return 1.0 - op.ReduceMax(before, [0], keepdims=0)


@function
def ordered(hu: INT16[...], spacing: FLOAT[3], lungs: FLOAT[...], step: INT64[3]) -> FLOAT[...]:
    """At most 64 candidates [N, 5] that score 0.1 or more."""
    places, numbers = described(hu, spacing, lungs, step)
    most = op.Min(op.Shape(places, start=0, end=1), op.Constant(value_ints=[256]))
    # Where there are fewer blobs than asked for, the rest of the list is flat background.
    heights = op.Squeeze(op.Slice(numbers, [2], [3], [1]), [1])
    rising = op.Cast(op.Greater(heights, op.Constant(value_float=0.1)), to=FLOAT.dtype)
    scores, order = op.TopK(score(numbers) * rising, most)
    best = op.Gather(places, order, axis=0)
    radius = op.Gather(op.Gather(numbers, order, axis=0), [0], axis=1)
    likely = op.Cast(op.GreaterOrEqual(scores, op.Constant(value_float=0.1)), to=FLOAT.dtype)
    kept = op.Cast(apart(best * spacing, radius) * likely, to=BOOL.dtype)
    rows = op.Concat(best, radius * 2.0, op.Unsqueeze(scores, [1]), axis=1)
    return op.Slice(op.Compress(rows, kept, axis=0), [0], [64], [0])


@function
def ct_nodule_candidates(
    hu: INT16[1, 1, None, None, None], spacing: FLOAT[3]
) -> tuple[FLOAT[None, 5], FLOAT[1], FLOAT[1], FLOAT[1]]:
    """Candidates: z, y, x in voxels of `hu`, diameter in mm, score 0.1 to 1, the likeliest first.

    Then how many score 0.5 or more, the volume of the lungs with what they enclose, and how much lung lies
    at the picture's edge.
    """
    step = steps(spacing)
    coarse = coarsened(hu, step)
    coarse_mm = spacing * op.Cast(step, to=FLOAT.dtype)
    lungs = lungs_of(coarse, coarse_mm)
    candidates = ordered(hu, spacing, lungs, step)
    scores = op.Slice(candidates, [4], [5], [1])
    count = total(op.Cast(op.GreaterOrEqual(scores, op.Constant(value_float=0.5)), to=FLOAT.dtype))
    lung_ml = total(lungs) * op.ReduceProd(coarse_mm) / 1000.0
    side_cm2 = op.ReduceProd(op.Gather(coarse_mm, op.Constant(value_ints=[0, 1]))) / 100.0
    edge_contact_cm2 = total(meets_edge(coarse)) * side_cm2
    return candidates, count, lung_ml, edge_contact_cm2


def build() -> onnx.ModelProto:
    """The model, the same bytes every time."""
    return model_of(ct_nodule_candidates, "ct_nodule_candidates")
