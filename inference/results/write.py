"""From an analysis to the files that are stored."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom import Dataset

from inference.findings import Analysis
from inference.records import FindingRecord
from inference.results.context import SEGMENTATION_STORAGE, ResultContext
from inference.results.report import report
from inference.results.rows import finding_records
from inference.results.segmentation import segmentation


@dataclass(frozen=True, slots=True)
class ResultObjects:
    """What one analysis came to, ready to be stored."""

    files: tuple[bytes, ...]
    """Part 10 files in the order of storing: what is referred to comes before what refers to it."""
    uids: tuple[str, ...]
    """Their SOP Instance UIDs, the report first."""
    records: tuple[FindingRecord, ...]


def result_objects(analysis: Analysis, images: Sequence[Dataset], context: ResultContext) -> ResultObjects:
    """The report of an analysis and, where there is a mask that is not empty, the segmentation.

    Args:
        analysis: not a refusal.
        images: the headers of `analysis.sources`, in that order (`sources.source_images`).
        context: the work item; equal arguments give equal bytes.

    Raises:
        ValueError: there is nothing to report, or the masks do not lie over the images.
    """
    records = finding_records(analysis, context)
    by_uid = {image.SOPInstanceUID: image for image in images}
    shown = dict.fromkeys(source.instance.key.sop for source in analysis.frames)
    mask = segmentation(analysis, [by_uid[sop] for sop in shown], context)
    if mask is None:
        sr = report(analysis.model, records, images, context)
        return ResultObjects((sr,), (context.report,), tuple(records))
    sr = report(analysis.model, records, [*images, _reference(images[0], context)], context)
    return ResultObjects((mask, sr), (context.report, context.segmentation), tuple(records))


def _reference(image: Dataset, context: ResultContext) -> Dataset:
    """What a report says of the segmentation among its evidence."""
    mask = Dataset()
    mask.StudyInstanceUID, mask.SeriesInstanceUID = image.StudyInstanceUID, context.uid("SEG series")
    mask.SOPClassUID, mask.SOPInstanceUID = SEGMENTATION_STORAGE, context.segmentation
    return mask
