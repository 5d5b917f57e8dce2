"""A Segmentation (PS3.3 A.51): the masks of an analysis as binary segments over the images they came from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.datadict import tag_for_keyword

from inference.findings import Analysis, ModelIdentity, Segment
from inference.results.coding import segment_algorithm
from inference.results.colour import cielab
from inference.results.context import SEGMENTATION_STORAGE, ResultContext, equipment
from inference.results.elements import Elements, data_set, elements, item
from inference.results.encoding import dates, inherited, part10
from inference.results.items import coded, reference
from inference.results.planes import Planes, planes_of

SERIES_NUMBER = 900

Bits = npt.NDArray[np.uint8]
"""A mask of one frame, packed as in Pixel Data (PS3.5 8.1.1); masks of many segments are held at once."""


@dataclass(frozen=True, slots=True, eq=False)
class _Drawn:
    """A segment on the frames where it has pixels."""

    segment: Segment
    masks: Mapping[int, Bits]
    """By the index of the frame."""


def segmentation(analysis: Analysis, images: Sequence[Dataset], context: ResultContext) -> bytes | None:
    """The Part 10 file of a BINARY segmentation; frames exist only where a segment has pixels.

    Args:
        analysis: what a model came to.
        images: the headers of the images in `analysis.frames`, each once, in that order: any number of
            single-frame images or one multi-frame image.
        context: where the UIDs and times come from.

    Returns:
        None where no segment has a pixel.

    Raises:
        ValueError: the frames are neither those of single-frame images nor of one multi-frame image, or
            nothing says where they lie.
    """
    found = [_drawn(segment) for segment in analysis.segments]
    if not any(each.masks for each in found):
        return None
    planes = planes_of(images)
    places = _places(analysis, images, planes)
    drawn = [
        _Drawn(each.segment, {places[frame]: mask for frame, mask in each.masks.items()}) for each in found
    ]
    first, model = images[0], analysis.model
    written = inherited(first) | elements(
        ImageType=["DERIVED", "PRIMARY"],
        Modality="SEG",
        SeriesInstanceUID=context.uid("SEG series"),
        SeriesNumber=SERIES_NUMBER,
        SeriesDescription=f"AI, not verified: {model.title}"[:64],
        InstanceNumber=1,
        ContentLabel="AI_SEGMENTATION",
        ContentDescription=model.title[:64],
        **equipment(model),
        **dates(context.at, first.get("TimezoneOffsetFromUTC"), "InstanceCreation", "Content", "Series"),
    )
    written |= _sources(images) | _frame_of_reference(first) | _described(drawn, model, context)
    written |= _frames(drawn, planes, context.uid("SEG dimensions"))
    return part10(SEGMENTATION_STORAGE, context.segmentation, written)


def _drawn(segment: Segment) -> _Drawn:
    masks = ((frame, segment.mask(frame)) for frame in range(len(segment.labels)))
    packed = {frame: np.packbits(mask, bitorder="little") for frame, mask in masks if mask.any()}
    return _Drawn(segment, packed)


def _places(analysis: Analysis, images: Sequence[Dataset], planes: Planes) -> list[int]:
    """Indices of the planes that the frames of the analysis are."""
    if len(images) == 1 < len(planes.groups):
        return [source.frame - 1 for source in analysis.frames]
    if len(planes.groups) != len(analysis.frames):
        raise ValueError("masks lie over single-frame images or over one multi-frame image")
    return list(range(len(planes.groups)))


def _sources(images: Sequence[Dataset]) -> Elements:
    """Source images, and the Common Instance Reference Module (PS3.3 C.12.2)."""
    each = [data_set(reference(image.SOPClassUID, image.SOPInstanceUID)) for image in images]
    series = item(SeriesInstanceUID=images[0].SeriesInstanceUID, ReferencedInstanceSequence=each)
    return elements(SourceImageSequence=each, ReferencedSeriesSequence=[series])


def _frame_of_reference(image: Dataset) -> Elements:
    if "FrameOfReferenceUID" in image:
        indicator = image.get("PositionReferenceIndicator")
        return elements(FrameOfReferenceUID=image.FrameOfReferenceUID, PositionReferenceIndicator=indicator)
    # Nothing else says how the picture lies (PS3.3 C.7.6.1); rows and columns are those of the image.
    return elements(PatientOrientation=image.get("PatientOrientation"))


def _described(drawn: Sequence[_Drawn], model: ModelIdentity, context: ResultContext) -> Elements:
    algorithm = segment_algorithm(model)
    return elements(
        SegmentationType="BINARY",
        SegmentSequence=[_segment(each.segment, model.name, algorithm, context) for each in drawn],
        SegmentsOverlap="YES" if _overlap(drawn) else "NO",
    )


def _segment(segment: Segment, model: str, algorithm: bytes, context: ResultContext) -> bytes:
    return item(
        SegmentNumber=segment.number,
        SegmentLabel=segment.label[:64],
        SegmentedPropertyCategoryCodeSequence=[coded(segment.category)],
        SegmentedPropertyTypeCodeSequence=[coded(segment.type, segment.laterality)],
        SegmentationAlgorithmIdentificationSequence=[algorithm],
        SegmentAlgorithmType="AUTOMATIC",
        SegmentAlgorithmName=model,
        RecommendedDisplayCIELabValue=cielab(segment.colour),
        TrackingID=segment.label,
        TrackingUID=context.uid("segment", str(segment.number)),
    )


def _overlap(drawn: Sequence[_Drawn]) -> bool:
    """Whether a pixel is of two segments."""
    for each, *others in (drawn[index:] for index in range(len(drawn) - 1)):
        for place in each.masks:
            if any(
                place in other.masks and (each.masks[place] & other.masks[place]).any() for other in others
            ):
                return True
    return False


def _frames(drawn: Sequence[_Drawn], planes: Planes, organization: str) -> Elements:
    """The frames, segment by segment, each along the normal (PS3.3 C.7.6.16, C.7.6.17)."""
    order = [place for place in planes.order() if any(place in each.masks for each in drawn)]
    frames = [(index, rank) for index in range(len(drawn)) for rank in range(len(order))]
    frames = [(index, rank) for index, rank in frames if order[rank] in drawn[index].masks]
    masks = [drawn[index].masks[order[rank]] for index, rank in frames]
    rows, columns = drawn[0].segment.labels.shape[1:]
    identified = [_identification(each.segment) for each in drawn]
    # A functional group that is the same in all frames is among those shared (PS3.3 C.7.6.16.1.1).
    shared, own = (identified[0], [{}]) if len(drawn) == 1 else ({}, identified)
    per_frame = [
        data_set(planes.groups[order[rank]] | _indices(index, rank, planes) | own[index])
        for index, rank in frames
    ]
    regular = len(drawn) == 1 and planes.are_regular(order)
    return elements(
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        PresentationLUTShape="IDENTITY",
        LossyImageCompression="00",
        Rows=rows,
        Columns=columns,
        BitsAllocated=1,
        BitsStored=1,
        HighBit=0,
        PixelRepresentation=0,
        NumberOfFrames=len(frames),
        DimensionOrganizationSequence=[item(DimensionOrganizationUID=organization)],
        DimensionIndexSequence=list(_dimensions(organization, planes)),
        SharedFunctionalGroupsSequence=[data_set(planes.shared | shared)],
        PerFrameFunctionalGroupsSequence=per_frame,
        PixelData=_joined(masks, rows * columns),
        **({"DimensionOrganizationType": "3D"} if regular else {}),
    )


def _identification(segment: Segment) -> Elements:
    return elements(SegmentIdentificationSequence=[item(ReferencedSegmentNumber=segment.number)])


def _indices(segment: int, rank: int, planes: Planes) -> Elements:
    """Where a frame stands in each of the dimensions, from 1."""
    values = [segment + 1] if planes.positions is None else [segment + 1, rank + 1]
    return elements(FrameContentSequence=[item(DimensionIndexValues=values)])


def _dimensions(organization: str, planes: Planes) -> Iterator[bytes]:
    named = [("ReferencedSegmentNumber", "SegmentIdentificationSequence", "Referenced Segment Number")]
    if planes.positions is not None:
        named.append(("ImagePositionPatient", "PlanePositionSequence", "Image Position Patient"))
    for attribute, group, label in named:
        yield item(
            DimensionOrganizationUID=organization,
            DimensionIndexPointer=tag_for_keyword(attribute),
            FunctionalGroupPointer=tag_for_keyword(group),
            DimensionDescriptionLabel=label,
        )


def _joined(masks: Sequence[Bits], pixels: int) -> bytes:
    """The frames of so many pixels, the bits of the next behind those of the last (PS3.5 8.1.1)."""
    if pixels % 8 == 0:
        return b"".join([mask.tobytes() for mask in masks])
    bits = [np.unpackbits(mask, count=pixels, bitorder="little") for mask in masks]
    return np.packbits(np.concatenate(bits), bitorder="little").tobytes()
