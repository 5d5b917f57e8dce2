"""Which frames of a Segmentation (PS3.3 A.51) lie on a slice, and what they mark there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from storage.pixels.attributes import (
    PER_FRAME_GROUPS,
    SHARED_GROUPS,
    Attributes,
    functional_group,
    integer,
    item,
    items,
    numbers,
    text,
)
from storage.pixels.description import Samples

_DERIVATION, _SOURCE, _SOP, _FRAME_NUMBER = "00089124", "00082112", "00081155", "00081160"
_PLANE_POSITION, _PLANE_ORIENTATION, _POSITION, _ORIENTATION = "00209113", "00209116", "00200032", "00200037"
_IDENTIFICATION, _SEGMENT_NUMBER, _FRAME_OF_REFERENCE = "0062000A", "0062000B", "00200052"
_AXES = 3
_SAME_PLANE = 0.1
"""Millimetres; positions are written with a few decimals."""

Mask = npt.NDArray[np.bool_]
_Points = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Slice:
    """An image, or one frame of it, that a segmentation may refer to."""

    sop: str
    header: Attributes
    frame: int = 1


class Slices:
    """Slices of a series, found by what a segmentation says that its frames lie on."""

    def __init__(self, slices: Sequence[Slice]) -> None:
        self._slices = slices
        self._by_sop: dict[str, list[int]] = {}
        for number, each in enumerate(slices):
            self._by_sop.setdefault(each.sop, []).append(number)

    def under(self, segmentation: Attributes, frame: int) -> list[Slice]:
        """The slices that a frame (1-based) of a segmentation lies on.

        A frame that names its source images belongs to those; one that names none belongs to its plane.
        """
        sources = [
            source
            for derivation in _derivations(segmentation, frame)
            for source in items(derivation, _SOURCE)
        ]
        if not sources:
            return self._in_plane(segmentation, frame)
        found = {
            number
            for source in sources
            for number in self._by_sop.get(text(source, _SOP), ())
            if not (frames := numbers(source, _FRAME_NUMBER)) or self._slices[number].frame in frames
        }
        return [self._slices[number] for number in sorted(found)]

    def _in_plane(self, segmentation: Attributes, frame: int) -> list[Slice]:
        plane = _plane(segmentation, frame)
        placed, positions, normals = self._places
        if plane is None or not placed:
            return []
        distances = np.abs(np.einsum("ij,ij->i", normals, positions - plane[0]))
        near = (distances < _SAME_PLANE) & np.isclose(normals, plane[1], atol=1e-3).all(axis=1)
        reference = text(segmentation, _FRAME_OF_REFERENCE)
        return [
            placed[number]
            for number in np.flatnonzero(near)
            if text(placed[number].header, _FRAME_OF_REFERENCE) == reference
        ]

    @cached_property
    def _places(self) -> tuple[list[Slice], _Points, _Points]:
        """The slices that say where they lie, their positions and their normals."""
        planes = [(each, _plane(each.header, each.frame)) for each in self._slices]
        known = [(each, plane) for each, plane in planes if plane is not None]
        positions, normals = ([plane[axis] for _, plane in known] for axis in (0, 1))
        return [each for each, _ in known], np.array(positions), np.array(normals)


def frames_on(shown: Slice, segmentation: Attributes, number_of_frames: int) -> Iterator[int]:
    """The frame numbers (1-based) of a segmentation that lie on a slice."""
    only = Slices([shown])
    return (frame for frame in range(1, number_of_frames + 1) if only.under(segmentation, frame))


def segment_masks(samples: Samples, segmentation: Attributes, frame: int) -> dict[int, Mask]:
    """Segment number → where it is, in one decoded frame (PS3.3 C.8.20.2).

    A FRACTIONAL frame marks what is at least half of its maximum; a LABELMAP frame holds every segment.
    """
    kind = text(segmentation, "00620001").upper()
    if kind == "LABELMAP":
        return {int(label): samples == label for label in np.unique(samples) if label}
    half = (integer(segmentation, "0062000E") or 255) / 2 if kind == "FRACTIONAL" else 0.5
    identification = functional_group(segmentation, _IDENTIFICATION, frame)
    return {integer(identification, _SEGMENT_NUMBER) or 1: samples >= half}


def _derivations(segmentation: Attributes, frame: int) -> list[Attributes]:
    per_frame = items(segmentation, PER_FRAME_GROUPS)
    own = items(per_frame[frame - 1], _DERIVATION) if frame <= len(per_frame) else []
    return own or items(item(segmentation, SHARED_GROUPS), _DERIVATION)


def _plane(header: Attributes, frame: int) -> tuple[_Points, _Points] | None:
    """Position and normal of a frame; at the top level for objects without functional groups (C.7.6.2)."""
    position = numbers(functional_group(header, _PLANE_POSITION, frame) or header, _POSITION)
    axes = numbers(functional_group(header, _PLANE_ORIENTATION, frame) or header, _ORIENTATION)
    if len(position) != _AXES or len(axes) != 2 * _AXES:
        return None
    return np.array(position), np.cross(axes[:_AXES], axes[_AXES:])
