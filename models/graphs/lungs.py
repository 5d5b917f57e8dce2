"""Finding the lungs on the coarse grid; masks are float32 zeros and ones [1, 1, D, H, W].

The frame is that of PS3.3 C.7.6.2 for axial slices: slices from the feet, rows from the front, columns
from the patient's right.
"""

from onnxscript import FLOAT
from onnxscript import opset18 as op

from models.graphs.masks import dilate, erode_in_slice, flood, flood_in_slices
from models.graphs.script import function


@function
def rim(like: FLOAT[...]) -> FLOAT[...]:
    """The outermost rows and columns of every slice."""
    frame = op.Constant(value_ints=[0, 0, 0, 2, 2])
    ring = op.Constant(value_ints=[0, 0, 0, 1, 1, 0, 0, 0, 1, 1])
    inner = op.Expand(op.Constant(value_float=0.0), op.Shape(like) - frame)
    return op.Pad(inner, ring, op.Constant(value_float=1.0))


@function
def below(hu: FLOAT[...], limit: FLOAT) -> FLOAT[...]:
    """Where the CT number is lower than `limit`."""
    return op.Cast(op.Less(hu, limit), to=FLOAT.dtype)


@function
def from_midline_mm(body: FLOAT[...], pixel_mm: FLOAT) -> FLOAT[...]:
    """Signed distance [1, 1, 1, 1, W] of each column from the middle of the body, negative at the right."""
    width = op.Squeeze(op.Shape(body, start=4, end=5))
    column = op.Cast(op.Range(op.Constant(value_int=0), width, op.Constant(value_int=1)), to=FLOAT.dtype)
    mass = op.ReduceSum(body, op.Constant(value_ints=[0, 1, 2, 3]), keepdims=0)
    middle = op.ReduceSum(mass * column, keepdims=0) / op.ReduceSum(mass, keepdims=0)
    return op.Reshape((column - middle) * pixel_mm, op.Constant(value_ints=[1, 1, 1, 1, -1]))


@function
def set_apart(air: FLOAT[...]) -> FLOAT[...]:
    """Air that in its own slice does not hang together with a space of 3 cm and more: the large airways."""
    wall = 1.0 - air
    rows = op.MaxPool(wall, kernel_shape=[1, 11, 1], pads=[0, 5, 0, 0, 5, 0])
    wide = 1.0 - op.MaxPool(rows, kernel_shape=[1, 1, 11], pads=[0, 0, 5, 0, 0, 5])
    core = op.MaxPool(wide, kernel_shape=[1, 3, 3], pads=[0, 1, 1, 0, 1, 1])
    return air - flood_in_slices(core * air, air)


@function
def airways(hu: FLOAT[...], air: FLOAT[...], aside_mm: FLOAT[...]) -> FLOAT[...]:
    """Trachea and main bronchi up to where they enter the lung."""
    apart = set_apart(air)
    central = below(op.Abs(aside_mm), op.Constant(value_float=20.0))
    seed = erode_in_slice(apart * below(hu, op.Constant(value_float=-900.0))) * central
    return flood(seed, apart * below(op.Abs(aside_mm), op.Constant(value_float=60.0)))


@function
def densest(air: FLOAT[...], side: FLOAT[...]) -> FLOAT[...]:
    """Where on one side a box of 6 x 6 x 4.5 cm holds most air, when more than half of it is air."""
    across = op.AveragePool(air, kernel_shape=[1, 1, 21], pads=[0, 0, 10, 0, 0, 10], count_include_pad=1)
    ahead = op.AveragePool(across, kernel_shape=[1, 21, 1], pads=[0, 10, 0, 0, 10, 0], count_include_pad=1)
    up = op.AveragePool(ahead, kernel_shape=[9, 1, 1], pads=[4, 0, 0, 4, 0, 0], count_include_pad=1)
    share = up * side * air
    most = op.Max(op.ReduceMax(share), op.Constant(value_float=0.5))
    return op.Cast(op.GreaterOrEqual(share, most), to=FLOAT.dtype)


@function
def both_lungs(air: FLOAT[...], aside_mm: FLOAT[...]) -> tuple[FLOAT[...], FLOAT[...]]:
    """Right and left lung, grown in step from where each is densest, so that they meet in between."""
    zero = op.Constant(value_float=0.0)
    right = densest(air, below(aside_mm, zero))
    left = densest(air, op.Cast(op.GreaterOrEqual(aside_mm, zero), to=FLOAT.dtype)) * (1.0 - right)
    sides = op.Concat(right, left, axis=1)
    going = op.ReduceSum(sides, keepdims=0) > 0.0
    while going:
        grown = dilate(sides) * air * (1.0 - op.Gather(sides, op.Constant(value_ints=[1, 0]), axis=1))
        # What both reach in the same step is right: channel 1 must not have what channel 0 has.
        taken = op.Pad(op.Slice(grown, [0], [1], [1]), op.Constant(value_ints=[0, 1, 0, 0, 0, 0, 0, 0, 0, 0]))
        met = grown * (1.0 - taken)
        going = op.ReduceSum(met, keepdims=0) > op.ReduceSum(sides, keepdims=0)
        sides = op.Identity(met)
    return op.Slice(sides, [0], [1], [1]), op.Slice(sides, [1], [2], [1])


@function
def meets_edge(hu: FLOAT[...]) -> FLOAT[...]:
    """Lung-like voxels with lung-like neighbours at the picture's edge or beside what was never scanned."""
    unseen = below(hu, op.Constant(value_float=-1050.0))
    like = below(hu, op.Constant(value_float=-600.0)) - below(hu, op.Constant(value_float=-950.0))
    solid = erode_in_slice(op.Max(like, unseen)) * like
    beside = op.MaxPool(unseen, kernel_shape=[1, 3, 3], pads=[0, 1, 1, 0, 1, 1])
    return solid * op.Max(rim(hu), beside)


@function
def segmented(hu: FLOAT[...], pixel_mm: FLOAT) -> tuple[FLOAT[...], FLOAT[...], FLOAT[...]]:
    """Right lung, left lung and large airways of a coarse volume of CT numbers."""
    air = below(hu, op.Constant(value_float=-500.0))
    outside = flood_in_slices(rim(hu), air)
    aside_mm = from_midline_mm(1.0 - outside, pixel_mm)
    inside = air - outside
    airway = airways(hu, inside, aside_mm)
    right, left = both_lungs(inside - airway, aside_mm)
    # A coarse voxel at the surface may be lung by less than half: one more, never into the airway's rim.
    free = (1.0 - outside) * (1.0 - dilate(airway))
    wider_right = op.Max(right, dilate(right) * free * (1.0 - left))
    wider_left = op.Max(left, dilate(left) * free * (1.0 - wider_right))
    return wider_right, wider_left, airway
