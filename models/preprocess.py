"""From pixels to the tensor a model takes, and back to the pixels: pure steps on arrays."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from models.aligned_grid import AlignedGrid
from models.schema.inputs import ImageInput
from models.volume_grid import VolumeGrid

Array = npt.NDArray[Any]
COLOURS = 3
# ITU-R BT.601, as PIL and most training pipelines turn colour into grey.
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a picture of `rows` x `columns` lies in the model's grid: a rectangle of `height` x `width`."""

    rows: int
    columns: int
    top: int
    left: int
    height: int
    width: int
    grid: tuple[int, int]
    """Rows and columns of the model's grid."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the grid, as that of a volume of one slice."""
        return 1, *self.grid

    @property
    def size(self) -> tuple[int, int, int]:
        """Of the picture, as that of a volume of one slice."""
        return 1, self.rows, self.columns

    def to_image(self, *place: float) -> tuple[float, float, float]:
        """Slice, row and column for a place in the grid."""
        z, y, x = place
        return z, *self.to_picture(y, x)

    def labels_to_image(self, labels: Array) -> Array:
        """As `labels_to_picture`."""
        return self.labels_to_picture(labels)

    def to_picture(self, y: float, x: float) -> tuple[float, float]:
        """Row and column of the picture for a place in the grid; pixel centres are whole numbers in both."""
        row = (y - self.top + 0.5) * self.rows / self.height - 0.5
        column = (x - self.left + 0.5) * self.columns / self.width - 0.5
        return row, column

    def labels_to_picture(self, labels: Array) -> Array:
        """Label maps [..., grid rows, grid columns] on the picture's grid, by the nearest label."""
        rows = self.top + _nearest(self.rows, self.height)
        columns = self.left + _nearest(self.columns, self.width)
        if (self.rows, self.columns) == (self.height, self.width):
            return labels[..., self.top : self.top + self.rows, self.left : self.left + self.columns]
        return labels[..., rows[:, None], columns]


def placement(rows: int, columns: int, spec: ImageInput) -> Placement:
    """Where a picture of this size ends up in the grid that `spec` asks for."""
    height, width, top, left = rows, columns, 0, 0
    grid = (rows, columns)
    if spec.resize is not None:
        grid = height, width = spec.resize.rows, spec.resize.columns
        if spec.resize.keep_aspect:
            scale = min(height / rows, width / columns)
            height, width = max(round(rows * scale), 1), max(round(columns * scale), 1)
            top, left = (grid[0] - height) // 2, (grid[1] - width) // 2
    padded = (_up(grid[0], spec.multiple_of[0]), _up(grid[1], spec.multiple_of[1]))
    return Placement(rows, columns, top, left, height, width, padded)


def picture_tensor(picture: Array, spec: ImageInput) -> Array:
    """One picture as the model takes it, with a batch axis of 1.

    Args:
        picture: [rows, columns] or [rows, columns, 3], uint8 or float32, in the units of `spec.values`.
        spec: the card's image input, of layout NCHW or NHWC.
    """
    place = placement(picture.shape[0], picture.shape[1], spec)
    picture = _clipped(picture, spec)
    planes = [_resized(plane, place, spec) for plane in _planes(picture, spec.channels)]
    padded = [_padded(plane, place, spec.pad_value) for plane in planes]
    stacked = np.stack(padded * (spec.channels // len(padded)))
    normal = _typed(_normalised(_scaled(stacked, picture, spec), spec), spec.dtype)
    return normal[None] if spec.layout == "NCHW" else np.moveaxis(normal, 0, -1)[None]


def volume_tensor(volume: Array, spec: ImageInput, grid: VolumeGrid | AlignedGrid) -> Array:
    """A volume [slices, rows, columns] as [1, 1, *grid.shape]; not copied where nothing changes."""
    values = grid.sampled(_clipped(volume, spec), spec.pad_value)
    scaled = _scaled(values, volume, spec)
    if (spec.divide_by, spec.mean, spec.std) != (1.0, (), ()):
        scaled = _normalised(scaled.astype(np.float32)[None], spec)[0]
    return _typed(scaled, spec.dtype)[None, None]


def resize_linear(plane: Array, rows: int, columns: int) -> Array:
    """Linear interpolation between pixel centres, without a wider filter when shrinking: float32."""
    top, bottom, down = _linear(plane.shape[0], rows)
    left, right, across = _linear(plane.shape[1], columns)
    lines = plane[top] * (1 - down)[:, None] + plane[bottom] * down[:, None]
    return np.asarray(lines[:, left] * (1 - across) + lines[:, right] * across, np.float32)


def _planes(picture: Array, wanted: int) -> list[Array]:
    """The planes that the channels are made of: one where they are all grey."""
    if picture.ndim == COLOURS and wanted == 1:
        grey = picture.astype(np.float32) @ LUMINANCE
        return [np.rint(grey).astype(np.uint8) if picture.dtype == np.uint8 else grey]
    if picture.ndim == COLOURS:
        return [picture[..., channel] for channel in range(COLOURS)]
    return [picture]


def _resized(plane: Array, place: Placement, spec: ImageInput) -> Array:
    if spec.resize is None or plane.shape == (place.height, place.width):
        return plane
    if spec.resize.method == "nearest":
        rows = _nearest(place.height, place.rows)
        return plane[rows[:, None], _nearest(place.width, place.columns)]
    if spec.resize.method == "linear":
        return resize_linear(plane, place.height, place.width)
    exact = plane if plane.dtype == np.uint8 else plane.astype(np.float32)
    image = Image.fromarray(np.ascontiguousarray(exact))
    return np.asarray(image.resize((place.width, place.height), Image.Resampling.BILINEAR))


def _padded(plane: Array, place: Placement, value: float) -> Array:
    below = place.grid[0] - place.top - place.height
    right = place.grid[1] - place.left - place.width
    around = ((place.top, below), (place.left, right))
    return np.pad(plane, around, constant_values=_fill(plane, value))


def _clipped(values: Array, spec: ImageInput) -> Array:
    return values if spec.clip is None else np.clip(values.astype(np.float32), *spec.clip)


def _scaled(values: Array, source: Array, spec: ImageInput) -> Array:
    """`values` by the range or spread of `source`, in which there is no padding."""
    if spec.scale == "none":
        return values
    low, width = _range(_clipped(source, spec), spec.scale)
    scaled = (values.astype(np.float32) - np.float32(low)) / np.float32(width or 1.0)
    return scaled if spec.scale == "z-score" else np.clip(scaled, 0, 1)


def _range(source: Array, scale: str) -> tuple[float, float]:
    if scale == "z-score":
        return float(source.mean(dtype=np.float64)), float(source.std(dtype=np.float64))
    if scale == "percentiles":
        low, high = np.percentile(source, (0.5, 99.5))
        return float(low), float(high - low)
    return float(source.min()), float(source.max()) - float(source.min())


def _normalised(planes: Array, spec: ImageInput) -> Array:
    """Planes [channel, ...] divided, then mean and deviation per channel; float32 unless untouched."""
    if (spec.divide_by, spec.mean, spec.std) == (1.0, (), ()):
        return planes
    values = planes.astype(np.float32) / np.float32(spec.divide_by)
    axes = (-1, *([1] * (values.ndim - 1)))
    if spec.mean:
        values -= np.array(spec.mean, np.float32).reshape(axes)
    if spec.std:
        values /= np.array(spec.std, np.float32).reshape(axes)
    return np.asarray(values)


def _typed(values: Array, dtype: str) -> Array:
    """In the model's type; whole numbers are rounded and bounded, NaN becomes 0."""
    wanted = np.dtype(dtype)
    if values.dtype == wanted:
        return values
    if wanted.kind in "iu":
        limits = np.iinfo(wanted)
        values = np.clip(np.rint(np.nan_to_num(values)), limits.min, limits.max)
    return values.astype(wanted)


def _fill(like: Array, value: float) -> Any:
    if like.dtype.kind not in "iu":
        return value
    limits = np.iinfo(like.dtype)
    return int(np.clip(round(value), limits.min, limits.max))


def _nearest(target: int, source: int) -> npt.NDArray[np.intp]:
    """For each of `target` pixels the one of `source` pixels whose area its centre lies in."""
    return ((np.arange(target) + 0.5) * source / target).astype(np.intp)


def _linear(source: int, target: int) -> tuple[Array, Array, Array]:
    place = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
    low = place.astype(np.intp)
    return low, np.minimum(low + 1, source - 1), (place - low).astype(np.float32)


def _up(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple
