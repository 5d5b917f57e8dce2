"""How far something dense reaches from a point, in many directions: a ball, a tube or a wall."""

import numpy as np
import onnx
from onnxscript import FLOAT, INT32
from onnxscript import opset18 as op

from models.graphs.script import function

MANY, FEW = 48, 13
MANY_STEP_MM, FEW_STEP_MM = 0.5, 0.75
REACH_MM = 18.0


def _directions(pairs: int, name: str) -> onnx.TensorProto:
    """Unit vectors [2 pairs, 3], spread evenly; the second half are the opposites of the first."""
    index = np.arange(pairs) + 0.5
    height = index / pairs
    turn = np.pi * (1 + 5**0.5) * index
    flat = np.sqrt(1 - height**2)
    half = np.stack([height, flat * np.sin(turn), flat * np.cos(turn)], axis=1)
    return onnx.numpy_helper.from_array(np.concatenate([half, -half]).astype(np.float32), name)


def _radii(step_mm: float, name: str) -> onnx.TensorProto:
    return onnx.numpy_helper.from_array(np.arange(0, REACH_MM, step_mm, dtype=np.float32), name)


MANY_DIRECTIONS, FEW_DIRECTIONS = _directions(MANY, "many_directions"), _directions(FEW, "few_directions")
MANY_RADII, FEW_RADII = _radii(MANY_STEP_MM, "many_radii"), _radii(FEW_STEP_MM, "few_radii")


@function
def reaches(
    volume: FLOAT[...], places: FLOAT[...], voxel_mm: FLOAT[3], directions: FLOAT[...], radii: FLOAT[...]
) -> tuple[FLOAT[...], FLOAT[...]]:
    """What lies at the centre [N], and how far in mm more than half of it continues [N, directions].

    `places` [N, 3] are in voxels; what is between voxels takes the nearest one's value.
    """
    spread = op.Unsqueeze(directions, [1]) * op.Unsqueeze(radii, [0, 2])
    at = op.Unsqueeze(places, [1, 2]) + op.Unsqueeze(spread / voxel_mm, [0])
    size = op.Shape(volume, start=2, end=5)
    last = op.Cast(size, to=FLOAT.dtype) - 1.0
    nearest = op.Cast(op.Max(op.Min(op.Round(at), last), op.Constant(value_floats=[0.0])), to=INT32.dtype)
    in_slice = op.Gather(size, [1]) * op.Gather(size, [2])
    strides = op.Concat(in_slice, op.Gather(size, [2]), op.Constant(value_ints=[1]), axis=0)
    flat = op.ReduceSum(nearest * op.Cast(strides, to=INT32.dtype), [3], keepdims=0)
    samples = op.Gather(op.Reshape(volume, op.Constant(value_ints=[-1])), flat)
    core = op.ReduceMean(op.Slice(samples, [0], [3], [2]), [1, 2], keepdims=0)
    left = op.Cast(op.Less(samples, op.Unsqueeze(core * 0.5, [1, 2])), to=FLOAT.dtype)
    # Beyond the last sample everything counts as left, so that there is always a first.
    first = op.ArgMax(op.Pad(left, [0, 0, 0, 0, 0, 1], 1.0), axis=2, keepdims=0)
    return core, op.Cast(first, to=FLOAT.dtype) * op.Gather(radii, [1])


@function
def ranked(reach: FLOAT[...]) -> FLOAT[...]:
    """Values [N, M] in each row from the highest to the lowest."""
    values, _ = op.TopK(reach, op.Shape(reach, start=1, end=2))
    return values


@function
def compact(
    volume: FLOAT[...], places: FLOAT[...], voxel_mm: FLOAT[3], heights: FLOAT[...]
) -> tuple[FLOAT[...], FLOAT[...]]:
    """The 1536 places that are least like a tube or the inside of an organ, with their heights."""
    directions, radii = op.Constant(value=FEW_DIRECTIONS), op.Constant(value=FEW_RADII)
    _, reach = reaches(volume, places, voxel_mm, directions, radii)
    one_way, other_way = op.Split(reach, axis=1, num_outputs=2)
    both_ways = ranked(op.Min(one_way, other_way))
    middle = op.Gather(both_ways, op.Constant(value_int=FEW // 2), axis=1)
    longest = op.Gather(both_ways, op.Constant(value_int=2), axis=1)
    likely = heights * (middle + 0.5) / (longest + 0.5) * op.Cast(op.Less(longest, REACH_MM), to=FLOAT.dtype)
    count = op.Min(op.Shape(places, start=0, end=1), op.Constant(value_ints=[1536]))
    _, chosen = op.TopK(likely, count)
    return op.Gather(places, chosen, axis=0), op.Gather(heights, chosen, axis=0)


@function
def features(volume: FLOAT[...], places: FLOAT[...], voxel_mm: FLOAT[3], heights: FLOAT[...]) -> FLOAT[...]:
    """Numbers [N, 13] that tell balls from tubes and walls.

    Both ways means the shorter one of two opposite rays: a ball on a wall is short, a tube is long.
    """
    directions, radii = op.Constant(value=MANY_DIRECTIONS), op.Constant(value=MANY_RADII)
    core, reach = reaches(volume, places, voxel_mm, directions, radii)
    one_way, other_way = op.Split(reach, axis=1, num_outputs=2)
    both_ways = ranked(op.Min(one_way, other_way))
    # Of a ball half its chords; on a wall these run into it, and the shorter ray of each pair tells.
    chords = op.ReduceMean(op.Slice(ranked(one_way + other_way), [24], [44], [1]), [1], keepdims=1)
    radius = op.Max(op.Min(chords * 0.5, op.Gather(both_ways, [24], axis=1) + 0.5), 0.5)
    both_shares = op.Gather(both_ways, op.Constant(value_ints=[1, 4, 8, 16, 40]), axis=1) / radius
    single_shares = op.Gather(ranked(reach), op.Constant(value_ints=[2, 8, 16, 30, 48]), axis=1) / radius
    size = op.Concat(radius, op.Unsqueeze(core, [1]) / 1000.0, op.Unsqueeze(heights, [1]) / 100.0, axis=1)
    return op.Concat(size, both_shares, single_shares, axis=1)
