"""Which frames of a Segmentation (PS3.3 A.51) lie on a slice, and what they mark there."""

from collections.abc import Iterator
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Slice:
    """An image, or one frame of it, that a segmentation may refer to."""

    sop: str
    header: Attributes
    frame: int = 1


def frames_on(shown: Slice, segmentation: Attributes, number_of_frames: int) -> Iterator[int]:
    """The frame numbers (1-based) of a segmentation that lie on a slice.

    A frame that names its source images belongs to those; one that names none belongs to its plane.
    """
    for frame in range(1, number_of_frames + 1):
        sources = [
            source
            for derivation in _derivations(segmentation, frame)
            for source in items(derivation, _SOURCE)
        ]
        if any(_is_source(source, shown) for source in sources) or (
            not sources and _same_plane(shown, segmentation, frame)
        ):
            yield frame


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


def _is_source(source: Attributes, shown: Slice) -> bool:
    frames = numbers(source, _FRAME_NUMBER)
    return text(source, _SOP) == shown.sop and (not frames or shown.frame in frames)


def _same_plane(shown: Slice, segmentation: Attributes, frame: int) -> bool:
    if text(shown.header, _FRAME_OF_REFERENCE) != text(segmentation, _FRAME_OF_REFERENCE):
        return False
    one, other = _plane(shown.header, shown.frame), _plane(segmentation, frame)
    if one is None or other is None:
        return False
    distance = abs(np.dot(one[1], one[0] - other[0]))
    return bool(distance < _SAME_PLANE and np.allclose(one[1], other[1], atol=1e-3))


def _plane(header: Attributes, frame: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
    """Position and normal of a frame; at the top level for objects without functional groups (C.7.6.2)."""
    position = numbers(functional_group(header, _PLANE_POSITION, frame) or header, _POSITION)
    axes = numbers(functional_group(header, _PLANE_ORIENTATION, frame) or header, _ORIENTATION)
    if len(position) != _AXES or len(axes) != 2 * _AXES:
        return None
    return np.array(position), np.cross(axes[:_AXES], axes[_AXES:])
