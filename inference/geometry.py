"""Where frames lie in the patient (PS3.3 C.7.6.2).

Positions are in mm in the patient's coordinates: x to the left, y to the back, z to the head (C.7.6.2.1.1).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.findings import SourceFrame
from inference.suitability import Unsuitable
from storage.instances import StoredInstance
from storage.pixels.attributes import (
    PER_FRAME_GROUPS,
    Attributes,
    functional_group,
    integer,
    items,
    number,
    numbers,
    text,
)

Floats = npt.NDArray[np.float64]
Array = npt.NDArray[Any]

_PLANE_POSITION, _PLANE_ORIENTATION, _PIXEL_MEASURES = "00209113", "00209116", "00289110"
_POSITION, _ORIENTATION, _PIXEL_SPACING = "00200032", "00200037", "00280030"
_THICKNESS, _SPACING_BETWEEN = "00180050", "00180088"
_COSINE_TOLERANCE = 0.01  # what rounding to two digits leaves

# The directions of increasing slice, row and column index in the canonical frame of each plane.
CANONICAL = {
    "axial": np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], float),
    "coronal": np.array([[0, 1, 0], [0, 0, -1], [1, 0, 0]], float),
    "sagittal": np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], float),
}


@dataclass(frozen=True, slots=True, eq=False)
class FramePlace:
    """One frame and where it lies."""

    source: SourceFrame
    name: str
    """What a message calls it: its Instance Number, or its UID."""
    position: Floats
    """Centre of the first pixel (Image Position)."""
    along_row: Floats
    """Unit vector of increasing column index."""
    along_column: Floats
    """Unit vector of increasing row index."""
    spacing: tuple[float, float]
    """mm between rows, mm between columns (Pixel Spacing, PS3.3 10.7.1.3)."""
    rows: int
    columns: int
    thickness: float | None

    @property
    def normal(self) -> Floats:
        return np.cross(self.along_row, self.along_column)


@dataclass(frozen=True, slots=True)
class InPlane:
    """How a stored frame is turned into the canonical frame: transposed first, then flipped."""

    rows: int
    columns: int
    """Size of the stored frame."""
    transposed: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    def apply(self, frame: Array) -> Array:
        """A stored frame [rows, columns] as the model sees it."""
        turned = frame.T if self.transposed else frame
        return turned[:: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]

    def undo(self, labels: Array) -> Array:
        """Label maps [..., rows, columns] of the model as stored frames."""
        turned = labels[..., :: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]
        return np.swapaxes(turned, -1, -2) if self.transposed else turned

    def to_stored(self, row: float, column: float) -> tuple[float, float]:
        """Row and column of the stored frame for those of the canonical one."""
        height, width = (self.columns, self.rows) if self.transposed else (self.rows, self.columns)
        row = height - 1 - row if self.flip_rows else row
        column = width - 1 - column if self.flip_columns else column
        return (column, row) if self.transposed else (row, column)


def frame_places(instance: StoredInstance, header: Attributes) -> list[FramePlace]:
    """Every frame of an instance with its place.

    Raises:
        Unsuitable: a frame has no position, orientation or pixel spacing, or they contradict themselves.
    """
    name = _name(instance, header)
    size = integer(header, "00280010") or 0, integer(header, "00280011") or 0
    groups = items(header, PER_FRAME_GROUPS)
    places = []
    for index in range(max(instance.number_of_frames, 1)):
        # One frame's view of the header: looking for each frame among all takes the square of their number.
        own = {**header, PER_FRAME_GROUPS: {"vr": "SQ", "Value": groups[index : index + 1]}}
        places.append(_place(SourceFrame(instance, index + 1), name, own, size))
    return places


def _name(instance: StoredInstance, header: Attributes) -> str:
    return f"image {text(header, '00200013') or instance.key.sop}"


def _place(source: SourceFrame, name: str, header: Attributes, size: tuple[int, int]) -> FramePlace:
    position = _of_frame(header, _PLANE_POSITION, _POSITION)
    orientation = _of_frame(header, _PLANE_ORIENTATION, _ORIENTATION)
    spacing = _of_frame(header, _PIXEL_MEASURES, _PIXEL_SPACING)
    for what, found, count in (
        ("ImagePositionPatient", position, 3),
        ("ImageOrientationPatient", orientation, 6),
        ("PixelSpacing", spacing, 2),
    ):
        if len(found) != count:
            raise Unsuitable(f"{name} has no {what}")
    along_row, along_column = _directions(name, orientation)
    if min(spacing) <= 0:
        raise Unsuitable(f"{name} has a PixelSpacing of {spacing[0]:g} x {spacing[1]:g} mm")
    return FramePlace(
        source, name, np.array(position), along_row, along_column, (spacing[0], spacing[1]), *size,
        _thickness(header),
    )  # fmt: skip


def _of_frame(header: Attributes, group: str, tag: str) -> list[float]:
    return numbers(functional_group(header, group, 1), tag) or numbers(header, tag)


def _thickness(header: Attributes) -> float | None:
    measures = functional_group(header, _PIXEL_MEASURES, 1) or header
    found = number(measures, _SPACING_BETWEEN) or number(measures, _THICKNESS)
    return abs(found) if found else None


def _directions(name: str, cosines: Sequence[float]) -> tuple[Floats, Floats]:
    row, column = np.array(cosines[:3]), np.array(cosines[3:])
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    unit = all(abs(length - 1) < _COSINE_TOLERANCE for length in lengths)
    if not unit or abs(row @ column) > _COSINE_TOLERANCE:
        raise Unsuitable(
            f"{name} has an ImageOrientationPatient that is no pair of perpendicular unit vectors"
        )
    row = row / lengths[0]
    column = column - (row @ column) * row
    return row, column / np.linalg.norm(column)


def in_plane(place: FramePlace, canonical: Floats | None) -> InPlane:
    if canonical is None:
        return InPlane(place.rows, place.columns)
    _, down, across = canonical
    transposed = abs(place.along_row @ across) < abs(place.along_column @ across)
    rows, columns = place.along_column, place.along_row
    if transposed:
        rows, columns = columns, rows
    return InPlane(
        place.rows, place.columns, bool(transposed), bool(rows @ down < 0), bool(columns @ across < 0)
    )


def pixel(place: FramePlace, row: float, column: float) -> Floats:
    """Where the centre of a pixel lies (equation C.7.6.2.1-1)."""
    return (
        place.position
        + row * place.spacing[0] * place.along_column
        + column * place.spacing[1] * place.along_row
    )
