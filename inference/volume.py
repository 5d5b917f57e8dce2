"""A series as one array: read frame by frame from the archive, checked, in the canonical frame."""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from inference.findings import SourceFrame
from inference.geometry import FramePlace, InPlane, frame_places
from inference.stack import Stack, stacked
from inference.suitability import Unsuitable, check_hounsfield, fewest, reason_against_all
from models.schema.images import Checks, Match
from storage.instances import StoredInstance
from storage.pixels.attributes import Attributes, text
from storage.pixels.decode import FrameSource, decode_frame, read_attributes
from storage.pixels.errors import UndecodablePixels
from storage.pixels.grayscale import modality_values

Array = npt.NDArray[Any]
Values = Literal["stored", "modality"]

_READERS = 4
_AHEAD = 16
"""Decoded frames held beside the volume."""
# Modality LUT, VOI LUT, palettes: tables that the archive keeps apart from the header.
_TABLES = ("00283000", "00283010", "00281201", "00281221")
_FRAME_OF_REFERENCE = "00200052"
_PICTURE = 2


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """A regular volume in its canonical frame."""

    array: Array
    """[slice, row, column]: int16 where every value is a whole number that fits, else float32; CT: HU."""
    spacing: tuple[float, float, float]
    """mm between slices, rows, columns of `array`."""
    affine: npt.NDArray[np.float64]
    """4 x 4: (slice, row, column, 1) → (x, y, z, 1) in mm (LPS)."""
    frames: tuple[SourceFrame, ...]
    """The frame of each slice."""
    in_plane: InPlane
    """How a stored frame was turned."""
    frame_of_reference: str = ""
    """Frame of Reference UID (PS3.3 C.7.4.1) of all of its images; empty where they do not state one."""

    def patient(self, z: float, y: float, x: float) -> tuple[float, float, float]:
        """Where a place in the array lies in the patient, in mm (LPS)."""
        place = self.affine @ (z, y, x, 1.0)
        return float(place[0]), float(place[1]), float(place[2])


def read_volume(
    archive: FrameSource,
    instances: Sequence[StoredInstance],
    rules: Sequence[Match],
    checks: Checks,
    values: Values = "modality",
) -> Volume:
    """Read the images of a series that the card is for, by all of its `rules`, as one volume.

    Localizers and what else `image_type_exclude` names are left out; every other image must fit.

    Raises:
        Unsuitable: the images are not those the card is for, make no regular volume, or cannot be decoded.
        StorageError: the archive cannot give them.
    """
    headers = read_headers(archive, instances, rules)
    places = [place for instance, header in headers.values() for place in frame_places(instance, header)]
    stack = stacked(places, checks)
    if checks.units == "HU":
        for _, header in headers.values():
            check_hounsfield(header)
    by_sop = {sop: header for sop, (_, header) in headers.items()}
    array = _filled(stack, _frames(archive, stack.places, by_sop, values))
    frames = tuple(place.source for place in stack.places)
    stated = {text(header, _FRAME_OF_REFERENCE) for header in by_sop.values()}
    frame_of_reference = stated.pop() if len(stated) == 1 else ""
    return Volume(array, stack.spacing, stack.affine, frames, stack.in_plane, frame_of_reference)


def read_headers(
    archive: FrameSource, instances: Sequence[StoredInstance], rules: Sequence[Match]
) -> dict[str, tuple[StoredInstance, Attributes]]:
    """The instances that the card is for, with their headers, by SOP Instance UID.

    Raises:
        Unsuitable: an image is not what the card is for, or too few are.
    """
    pictures = [instance for instance in instances if instance.number_of_frames]
    chosen, reasons = {}, []
    for instance, data in zip(pictures, archive.headers(pictures), strict=True):
        header: Attributes = json.loads(data)
        if any(tag in header for tag in _TABLES):
            header = read_attributes(archive, instance)
        reason = reason_against_all(rules, header)
        if reason is None:
            chosen[instance.key.sop] = (instance, header)
        elif not reason.startswith("ImageType"):
            raise Unsuitable(reason)
        else:
            reasons.append(reason)
    if len(chosen) < (least := fewest(rules)):
        why = reasons[0] if reasons else f"the model needs at least {least}"
        raise Unsuitable(f"{len(chosen)} image{'' if len(chosen) == 1 else 's'}: {why}")
    return chosen


def _frames(
    archive: FrameSource, places: Sequence[FramePlace], headers: dict[str, Attributes], values: Values
) -> Iterator[Array]:
    def read(place: FramePlace) -> Array:
        source = place.source
        header = headers[source.instance.key.sop]
        try:
            samples = decode_frame(archive, source.instance, source.frame, header).samples
            if samples.ndim != _PICTURE:
                raise Unsuitable(f"{place.name} is in colour")
            return modality_values(samples, header, source.frame) if values == "modality" else samples
        except UndecodablePixels as error:
            raise Unsuitable(f"{place.name} cannot be decoded: {error}") from error

    # Reading waits for the store and decoding releases the GIL, so a few frames at once are faster.
    with ThreadPoolExecutor(_READERS) as readers:
        for start in range(0, len(places), _AHEAD):
            yield from readers.map(read, places[start : start + _AHEAD])


def _filled(stack: Stack, frames: Iterator[Array]) -> Array:
    shape = stack.in_plane.apply(np.empty((stack.in_plane.rows, stack.in_plane.columns))).shape
    array: Array = np.empty((len(stack.places), *shape), np.int16)
    for index, frame in enumerate(frames):
        if array.dtype == np.int16 and not _fits(frame):
            array = array.astype(np.float32)
        array[index] = stack.in_plane.apply(frame)
    return array


def _fits(frame: Array) -> bool:
    limits = np.iinfo(np.int16)
    whole = frame.dtype.kind in "iu"
    return whole and int(frame.min()) >= limits.min and int(frame.max()) <= limits.max
