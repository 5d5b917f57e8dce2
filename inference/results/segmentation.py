"""A Segmentation (PS3.3 A.51): the masks of an analysis as binary segments over the images they came from."""

from collections.abc import Sequence

import highdicom as hd
import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from inference.findings import Analysis, ModelIdentity, Segment
from inference.results.coding import concept, segment_algorithm
from inference.results.context import ResultContext, equipment

SERIES_NUMBER = 900

Mask = npt.NDArray[np.uint8]


def segmentation(analysis: Analysis, images: Sequence[Dataset], context: ResultContext) -> Dataset:
    """The masks of `analysis` as a BINARY segmentation; frames exist only where a segment has pixels.

    Args:
        analysis: with at least one segment that is not empty.
        images: the headers of the images in `analysis.frames`, each once, in that order: any number of
            single-frame images or one multi-frame image.
        context: where the UIDs and times come from.

    Raises:
        ValueError: the frames are neither those of single-frame images nor of one multi-frame image.
    """
    result = hd.seg.Segmentation(
        source_images=images,
        pixel_array=_masks(analysis, images),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_described(segment, analysis.model, context) for segment in analysis.segments],
        series_instance_uid=context.uid("SEG series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=context.segmentation,
        instance_number=1,
        content_label="AI_SEGMENTATION",
        content_description=analysis.model.title,
        content_creator_name=None,
        series_description=f"AI, not verified: {analysis.model.title}"[:64],
        specific_character_set="ISO_IR 192",
        **equipment(analysis.model),
    )
    if "FrameOfReferenceUID" not in result:
        # Nothing else says how the picture lies (PS3.3 C.7.6.1); rows and columns are those of the image.
        result.PatientOrientation = images[0].get("PatientOrientation")
    return _with_own_dimensions(result, context)


def _masks(analysis: Analysis, images: Sequence[Dataset]) -> Mask:
    """The masks over all frames of the images, in one of the two forms that highdicom takes."""
    frames = int(images[0].get("NumberOfFrames") or 1) if len(images) == 1 else len(images)
    if frames > 1 and len(images) == 1:
        places = [source.frame - 1 for source in analysis.frames]
    elif frames == len(analysis.frames):
        places = list(range(frames))
    else:
        raise ValueError("masks lie over single-frame images or over one multi-frame image")
    shape = (frames, *analysis.segments[0].labels.shape[1:])
    return (
        _stacked(analysis.segments, places, shape)
        if _overlap(analysis.segments)
        else _numbered(analysis.segments, places, shape)
    )


def _overlap(segments: Sequence[Segment]) -> bool:
    """Whether a pixel may be of two segments: they come from different outputs, or share values."""
    values = [value for segment in segments for value in segment.values]
    return len(set(values)) < len(values) or any(each.labels is not segments[0].labels for each in segments)


def _numbered(segments: Sequence[Segment], places: Sequence[int], shape: tuple[int, ...]) -> Mask:
    """Segment numbers: [frame, row, column], which highdicom checks several times faster than a stack."""
    number = np.zeros(256, np.uint8)
    for segment in segments:
        number[list(segment.values)] = segment.number
    mask = np.zeros(shape, np.uint8)
    mask[places] = number[segments[0].labels]
    return mask


def _stacked(segments: Sequence[Segment], places: Sequence[int], shape: tuple[int, ...]) -> Mask:
    """One channel per segment: [frame, row, column, segment]."""
    # Segment by segment in memory, which highdicom reads several times faster than pixel by pixel.
    masks = np.zeros((len(segments), *shape), dtype=np.uint8)
    for mask, segment in zip(masks, segments, strict=True):
        chosen = np.zeros(256, np.uint8)
        chosen[list(segment.values)] = 1
        mask[places] = chosen[segment.labels]
    return np.moveaxis(masks, 0, -1)


def _described(segment: Segment, model: ModelIdentity, context: ResultContext) -> hd.seg.SegmentDescription:
    described = hd.seg.SegmentDescription(
        segment_number=segment.number,
        segment_label=segment.label[:64],
        segmented_property_category=concept(segment.category),
        segmented_property_type=concept(segment.type),
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=segment_algorithm(model),
        tracking_uid=context.uid("segment", str(segment.number)),
        tracking_id=segment.label,
        display_color=hd.color.CIELabColor.from_rgb(*segment.colour),
    )
    if segment.laterality is not None:
        # Modifiers lie within the item of the property type (PS3.3 C.8.20.4).
        kind = described.SegmentedPropertyTypeCodeSequence[0]
        kind.SegmentedPropertyTypeModifierCodeSequence = [concept(segment.laterality)]
    return described


def _with_own_dimensions(result: Dataset, context: ResultContext) -> Dataset:
    uid = context.uid("SEG dimensions")
    for item in (*result.DimensionOrganizationSequence, *result.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid
    return result
