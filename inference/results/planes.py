"""Where the frames of a mask lie: where those of the images lie that it is over (PS3.3 C.7.6.16)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from inference.findings import Code
from inference.results.elements import Elements, data_set, elements, item
from inference.results.items import coded, reference

_SEGMENTATION = Code("113076", "DCM", "Segmentation")
_SOURCE = Code("121322", "DCM", "Source image for image processing operation")
_TOLERANCE = 0.01
"""Share of a step that others may differ by where slices are called regular."""

Positions = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Planes:
    """The frames of some images: those of one multi-frame image, or the one of each."""

    groups: tuple[Elements, ...]
    """Functional groups of each: source image, and position where there is one."""
    shared: Elements
    """Functional groups of all."""
    positions: Positions | None
    """[frame, 3], mm; None where the images have no frame of reference."""
    normal: Positions

    def order(self) -> list[int]:
        """Indices of the frames along their normal."""
        if self.positions is None:
            return list(range(len(self.groups)))
        return [int(index) for index in np.argsort(self.positions @ self.normal, kind="stable")]

    def are_regular(self, places: Sequence[int]) -> bool:
        """Whether these frames, in this order, are the slices of a volume."""
        return self.positions is not None and _step(self.positions[list(places)], self.normal) is not None


def planes_of(images: Sequence[Dataset]) -> Planes:
    """The frames of one multi-frame image, or of single-frame images.

    Raises:
        ValueError: nothing says where frames lie that are more than one, or they have no orientation in
            common.
    """
    first = images[0]
    frames = int(first.get("NumberOfFrames") or 0)
    numbers: list[int | None] = list(range(1, frames + 1)) if frames else [None]
    shown = [(image, number) for image in images for number in numbers]
    sources = [_derived(image, number) for image, number in shown]
    if not _has_place(first):
        if len(shown) > 1:
            raise ValueError("nothing says where the frames lie")
        measures = _measures(first, None) if "PixelSpacing" in first else {}
        return Planes(tuple(sources), measures, None, np.zeros(3))
    places = list(_places(images))
    orientation = _orientation(images)
    positions = np.array(places, float)
    normal = np.cross(orientation[3:], orientation[:3])
    step = _step(positions[np.argsort(positions @ normal)], normal)
    lying = elements(PlaneOrientationSequence=[item(ImageOrientationPatient=orientation)])
    groups = (
        source | elements(PlanePositionSequence=[item(ImagePositionPatient=place)])
        for source, place in zip(sources, places, strict=True)
    )
    return Planes(tuple(groups), lying | _measures(first, step), positions, normal)


def _has_place(image: Dataset) -> bool:
    if "FrameOfReferenceUID" not in image:
        return False
    return "ImagePositionPatient" in image or _group(image, "PlanePositionSequence") is not None


def _group(image: Dataset, keyword: str) -> Dataset | None:
    """A functional group of all frames, or of the first."""
    for groups in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for found in image.get(groups) or ():
            if keyword in found:
                group: Dataset = found[keyword][0]
                return group
            break
    return None


def _places(images: Sequence[Dataset]) -> Iterator[list[float]]:
    for image in images:
        if "ImagePositionPatient" in image:
            yield list(image.ImagePositionPatient)
        else:
            same = _group(image, "PlanePositionSequence")
            for frame in image.PerFrameFunctionalGroupsSequence:
                yield list((frame.get("PlanePositionSequence") or [same])[0].ImagePositionPatient)


def _orientation(images: Sequence[Dataset]) -> list[float]:
    group = _group(images[0], "PlaneOrientationSequence") or images[0]
    orientations = {
        tuple(image.get("ImageOrientationPatient") or group.ImageOrientationPatient) for image in images
    }
    if len(orientations) > 1:
        raise ValueError("the images have no orientation in common")
    return list(orientations.pop())


def _measures(image: Dataset, step: float | None) -> Elements:
    """Pixel Measures; the distance of slices also where the images do not say it (PS3.3 C.7.6.16.2.1)."""
    named: Any = _group(image, "PixelMeasuresSequence") or image
    wanted = [
        keyword
        for keyword in ("SliceThickness", "SpacingBetweenSlices", "PixelSpacing")
        if named.get(keyword) not in (None, "")
    ]
    written = elements(**{keyword: named[keyword].value for keyword in wanted})
    if step is not None and "SpacingBetweenSlices" not in wanted:
        written |= elements(SpacingBetweenSlices=step)
    return elements(PixelMeasuresSequence=[data_set(written)])


def _derived(image: Dataset, frame: int | None) -> Elements:
    source = reference(image.SOPClassUID, image.SOPInstanceUID)
    source |= elements(SpatialLocationsPreserved="YES", PurposeOfReferenceCodeSequence=[coded(_SOURCE)])
    if frame is not None:
        source |= elements(ReferencedFrameNumber=frame)
    derived = item(SourceImageSequence=[data_set(source)], DerivationCodeSequence=[coded(_SEGMENTATION)])
    return elements(DerivationImageSequence=[derived])


def _step(positions: Positions, normal: Positions) -> float | None:
    """Millimetres from one slice to the next where they are regular and lie above each other."""
    steps = np.diff(positions, axis=0)
    if not len(steps):
        return None
    step = steps.mean(axis=0)
    length = float(np.linalg.norm(step))
    along = float(step @ normal)
    if along <= 0 or not np.allclose(steps, step, atol=length * _TOLERANCE, rtol=0):
        return None
    return along if np.isclose(along, length, rtol=_TOLERANCE**2) else None
