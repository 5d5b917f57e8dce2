"""From an analysis to the files that are stored."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom import Dataset

from inference.findings import Analysis
from inference.records import FindingRecord
from inference.results.context import ResultContext
from inference.results.encoding import encoded
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
    mask = _mask(analysis, images, context)
    sr = report(analysis.model, records, images, mask, context)
    objects = [mask, sr] if mask is not None else [sr]
    offset = images[0].get("TimezoneOffsetFromUTC")
    files = tuple(encoded(each, context.at, offset) for each in objects)
    return ResultObjects(files, tuple(each.SOPInstanceUID for each in reversed(objects)), tuple(records))


def _mask(analysis: Analysis, images: Sequence[Dataset], context: ResultContext) -> Dataset | None:
    if all(segment.is_empty() for segment in analysis.segments):
        return None
    by_uid = {image.SOPInstanceUID: image for image in images}
    shown = dict.fromkeys(source.instance.key.sop for source in analysis.frames)
    return segmentation(analysis, [by_uid[sop] for sop in shown], context)
