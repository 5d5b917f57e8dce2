"""Whether frames make one regular volume, and in which order; everything that is wrong is said."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inference.geometry import CANONICAL, Floats, FramePlace, InPlane, in_plane, pixel
from inference.suitability import Unsuitable
from models.schema.images import Checks

MAX_TURN_DEGREES = 0.5
"""Frames whose orientations differ by more are of different stacks; stacks sheared by more are tilted."""
SAME_PLACE_MM = 0.01
_SIZE_TOLERANCE_MM = 1e-3
_GAP_TOLERANCE = 0.15


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """Frames in the order of a volume's slices, regular as far as the card demands."""

    places: tuple[FramePlace, ...]
    spacing: tuple[float, float, float]
    """mm between slices, rows, columns of the canonical frame."""
    affine: Floats
    """4 x 4: (slice, row, column, 1) of the canonical frame → (x, y, z, 1) in mm."""
    in_plane: InPlane


def stacked(places: Sequence[FramePlace], checks: Checks) -> Stack:
    """The frames as a regular volume.

    Raises:
        Unsuitable: they make none, or not one that `checks` allows; the message says all that is wrong.
    """
    _check_alike(places)
    first = places[0]
    normal = _slice_direction(first, checks.orientation)
    heights = np.array([place.position @ normal for place in places])
    order = np.argsort(heights, kind="stable")
    places, heights = [places[index] for index in order], heights[order]
    _check_distinct(heights)
    _check_count(len(places), checks)
    _check_voxels(len(places) * first.rows * first.columns, checks.max_voxels)
    between = _slice_spacing(places, heights)
    problems = [
        *_tilt(places, heights, normal),
        *_unevenness(heights, checks.spacing_tolerance),
        *_wrong_plane(first, checks),
        *_wrong_size(between, heights, first, checks),
    ]
    if problems:
        raise Unsuitable("; ".join(problems))
    return _stack(places, normal, between, checks.orientation)


def _check_alike(places: Sequence[FramePlace]) -> None:
    if not places:
        raise Unsuitable("there are no images")
    sizes = sorted({(place.rows, place.columns) for place in places})
    if len(sizes) > 1:
        raise Unsuitable(f"images of different sizes: {' and '.join(f'{r} x {c}' for r, c in sizes)}")
    spacings = np.array([place.spacing for place in places])
    if np.ptp(spacings, axis=0).max() > _SIZE_TOLERANCE_MM:
        low, high = spacings.min(), spacings.max()
        raise Unsuitable(f"images of different pixel spacing: {low:g} to {high:g} mm")
    turned = max(_angle_between(places[0], place) for place in places)
    if turned > MAX_TURN_DEGREES:
        raise Unsuitable(f"mixed orientations: images are turned against each other by up to {turned:.0f}°")


def _angle_between(one: FramePlace, other: FramePlace) -> float:
    """The larger of the angles between two frames' rows and between their columns, in degrees."""
    pairs = ((one.along_row, other.along_row), (one.along_column, other.along_column))
    return max(_degrees(a, b) for a, b in pairs)


def _degrees(one: Floats, other: Floats) -> float:
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(one, other)), one @ other)))


def _slice_direction(place: FramePlace, orientation: str) -> Floats:
    """The normal, in the sense in which the canonical frame counts slices."""
    normal = place.normal
    canonical = CANONICAL.get(orientation)
    return -normal if canonical is not None and normal @ canonical[0] < 0 else normal


def _check_distinct(heights: Floats) -> None:
    distinct = 1 + int((np.diff(heights) > SAME_PLACE_MM).sum())
    if distinct < len(heights):
        raise Unsuitable(f"several images at one position: {len(heights)} images at {distinct} positions")


def _check_count(count: int, checks: Checks) -> None:
    slices = f"{count} slice{'s' if count > 1 else ''}"
    if count < checks.min_slices:
        raise Unsuitable(f"{slices}, the model needs at least {checks.min_slices}")
    if count > checks.max_slices:
        raise Unsuitable(f"{slices}, the model takes at most {checks.max_slices}")


def _check_voxels(count: int, allowed: int) -> None:
    if count > allowed:
        raise Unsuitable(f"{count} voxels, the model takes at most {allowed}")


def _slice_spacing(places: Sequence[FramePlace], heights: Floats) -> float:
    if len(heights) > 1:
        return float(heights[-1] - heights[0]) / (len(heights) - 1)
    if places[0].thickness is None:
        raise Unsuitable("a single slice without SliceThickness")
    return places[0].thickness


def _tilt(places: Sequence[FramePlace], heights: Floats, normal: Floats) -> list[str]:
    """Slices that do not lie straight above each other (Gantry/Detector Tilt, or positions that wander)."""
    if len(places) == 1:
        return []
    positions = np.array([place.position for place in places])
    sideways = positions - positions[0] - np.outer(heights - heights[0], normal)
    extent = heights[-1] - heights[0]
    angle = float(np.degrees(np.arctan2(np.linalg.norm(sideways[-1]), extent)))
    if angle > MAX_TURN_DEGREES:
        return [f"gantry tilt: the slices are sheared by {angle:.1f}°"]
    off_line = sideways - np.outer((heights - heights[0]) / extent, sideways[-1])
    wander = float(np.linalg.norm(off_line, axis=1).max())
    allowed = max(places[0].spacing)
    return [f"slices are shifted sideways by up to {wander:.1f} mm"] if wander > allowed else []


def _unevenness(heights: Floats, tolerance: float) -> list[str]:
    distances = np.diff(heights)
    if not len(distances):
        return []
    median = float(np.median(distances))
    deviations = np.abs(distances - median)
    if deviations.max() <= tolerance * median:
        return []
    times = np.rint(distances / median)
    fits = np.abs(distances - times * median) <= _GAP_TOLERANCE * median
    if fits.all() and times.min() >= 1:
        missing, at = int((times - 1).sum()), int(times.argmax())
        between = f"the largest gap is {distances[at]:.2f} mm, the usual distance {median:.2f} mm"
        return [f"missing slices: {missing} of {len(heights) + missing}; {between}"]
    return [f"uneven slice spacing: {distances.min():.2f} to {distances.max():.2f} mm"]


def _wrong_plane(place: FramePlace, checks: Checks) -> list[str]:
    if checks.orientation == "any":
        return []
    slice_axis = CANONICAL[checks.orientation][0]
    angle = _degrees(place.normal, slice_axis)
    angle = min(angle, 180 - angle)
    if angle <= checks.max_obliquity_degrees:
        return []
    plane = max(CANONICAL, key=lambda name: abs(float(place.normal @ CANONICAL[name][0])))
    named = "oblique" if plane == checks.orientation else plane
    return [f"the images are {named}, turned by {angle:.0f}° from {checks.orientation}"]


def _wrong_size(between: float, heights: Floats, place: FramePlace, checks: Checks) -> list[str]:
    extent = float(heights[-1] - heights[0]) + between
    problems = []
    if checks.max_slice_spacing_mm is not None and between > checks.max_slice_spacing_mm * (1 + 1e-3):
        problems.append(
            f"slices are {between:.2f} mm apart, at most {checks.max_slice_spacing_mm:g} mm allowed"
        )
    if between < checks.min_slice_spacing_mm * (1 - 1e-3):
        problems.append(
            f"slices are {between:.2f} mm apart, at least {checks.min_slice_spacing_mm:g} mm needed"
        )
    if checks.max_pixel_spacing_mm is not None and max(place.spacing) > checks.max_pixel_spacing_mm:
        problems.append(
            f"pixels are {max(place.spacing):.2f} mm apart, "
            f"at most {checks.max_pixel_spacing_mm:g} mm allowed"
        )
    if extent < checks.min_extent_mm:
        problems.append(f"the slices cover {extent:.0f} mm, at least {checks.min_extent_mm:g} mm needed")
    return problems


def _stack(places: Sequence[FramePlace], normal: Floats, between: float, orientation: str) -> Stack:
    turned = in_plane(places[0], CANONICAL.get(orientation))
    first = places[0]
    rows, columns = first.spacing
    # Stored row and column of three corners of the canonical frame give its origin and its two steps.
    corner = [pixel(first, *turned.to_stored(row, column)) for row, column in ((0, 0), (1, 0), (0, 1))]
    step = (places[-1].position - first.position) / (len(places) - 1) if len(places) > 1 else normal * between
    affine = np.eye(4)
    affine[:3] = np.stack([step, corner[1] - corner[0], corner[2] - corner[0], corner[0]], axis=1)
    in_frame = (columns, rows) if turned.transposed else (rows, columns)
    return Stack(tuple(places), (between, *in_frame), affine, turned)
