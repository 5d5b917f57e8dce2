"""Measurement groups of TID 1500 reports (PS3.16): one per finding record."""

from collections.abc import Mapping, Sequence
from typing import Any

import highdicom as hd
import numpy as np
from highdicom.sr import ContentSequence, RelationshipTypeValues
from pydicom import Dataset

from inference.findings import Measurement, Score
from inference.records import FindingRecord, ImageReference, Region
from inference.results.coding import COMMENT, PERCENT, PRESENCES, SCORE_UNIT, concept
from inference.results.context import SEGMENTATION_STORAGE

FLAG = "Caution: "
"""How a comment starts that gives a reason for doubt."""
CRITICAL = "Critical finding: must be acknowledged"
"""The comment on a finding whose card says so."""
REMARK, REJECTED = "Reviewer: ", "Rejected by the reviewer"
"""How comments start that a person made."""
# Viewers on Cornerstone3D make a measurement editable by the tool that its tracking identifier begins with.
TOOLS: Mapping[str, str] = {
    "point": "Cornerstone3DTools@^0.1.0:Probe:",
    "box": "Cornerstone3DTools@^0.1.0:RectangleROI:",
    "polygon": "Cornerstone3DTools@^0.1.0:PlanarFreehandROI:",
    "line": "Cornerstone3DTools@^0.1.0:Length:",
}


def tracking_identifier(record: FindingRecord) -> str:
    """Tracking Identifier (112039 DCM): the key, behind the tool that edits the region where there is one."""
    drawn = record.region is not None and record.segment is None
    return (TOOLS[record.region.kind] if drawn and record.region else "") + record.key


def measurement_group(
    record: FindingRecord,
    algorithm: hd.sr.AlgorithmIdentification | None,
    images: Mapping[str, Dataset],
    *,
    evaluations: Sequence[hd.sr.QualitativeEvaluation] = (),
    remarks: Sequence[str] = (),
) -> Any:
    """A group after TID 1411 over a segment, TID 1410 over a region, else TID 1501.

    Args:
        record: what the group says.
        algorithm: what made it, where none but an algorithm did.
        images: headers by SOP Instance UID.
        evaluations: what else is said in codes.
        remarks: what else is said in words.
    """
    shared = _shared(record, algorithm, evaluations)
    if record.segment is not None:
        group = hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
            referenced_segment=hd.sr.ReferencedSegment(
                sop_class_uid=SEGMENTATION_STORAGE,
                sop_instance_uid=record.segment.sop,
                segment_number=record.segment.number,
                source_series=hd.sr.SourceSeriesForSegmentation(record.series),
            ),
            **shared,
        )
    elif record.region is not None:
        group = _planar(record.region, images, shared)
    else:
        group = hd.sr.MeasurementsAndQualitativeEvaluations(
            source_images=_measured(record.image, images), **shared
        )
    group[0].ContentSequence.extend(_comments(record, remarks))
    return group


def _shared(
    record: FindingRecord,
    algorithm: hd.sr.AlgorithmIdentification | None,
    evaluations: Sequence[hd.sr.QualitativeEvaluation],
) -> dict[str, Any]:
    sites = None
    if record.site is not None:
        laterality = concept(record.laterality) if record.laterality else None
        sites = [hd.sr.FindingSite(concept(record.site), laterality=laterality)]
    numbers = [_number(measurement) for measurement in record.measurements]
    if record.score is not None:
        numbers.append(_score(record.score))
    presence = PRESENCES.get(record.presence)
    stated = [hd.sr.QualitativeEvaluation(concept(record.code), concept(presence))] if presence else []
    return {
        "tracking_identifier": hd.sr.TrackingIdentifier(
            uid=record.tracking_uid, identifier=tracking_identifier(record)
        ),
        "finding_type": concept(record.code),
        "finding_sites": sites,
        "algorithm_id": algorithm,
        "measurements": numbers or None,
        "qualitative_evaluations": [*stated, *evaluations] or None,
    }


def _number(measurement: Measurement) -> hd.sr.Measurement:
    return hd.sr.Measurement(
        name=concept(measurement.concept),
        value=measurement.value,
        unit=concept(measurement.unit),
        derivation=concept(measurement.derivation) if measurement.derivation else None,
        method=concept(measurement.method) if measurement.method else None,
    )


def _score(score: Score) -> hd.sr.Measurement:
    """A certainty in percent (PS3.16 CID 6147 names no unit for others): any other score as a bare number."""
    if score.concept.names_certainty:
        percent = float(f"{score.value * 100:.10g}")
        return hd.sr.Measurement(concept(score.concept), percent, concept(PERCENT))
    return hd.sr.Measurement(concept(score.concept), score.value, concept(SCORE_UNIT))


def _planar(region: Region, images: Mapping[str, Dataset], shared: Mapping[str, Any]) -> Any:
    kind, points = _graphic(region)
    image = images[region.sop]
    source = hd.sr.SourceImageForRegion(image.SOPClassUID, region.sop, _frames(image, region.frame))
    group = hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        referenced_region=hd.sr.ImageRegion(kind, points, source), **shared
    )
    _anchor(group, hd.sr.CoordinatesForMeasurement(kind, points, source))
    return group


def _anchor(group: Any, region: Any) -> None:
    """Put the region below the first number too (TID 300), where viewers look that let it be edited."""
    for item in group[0].ContentSequence:
        if item.ValueType == "NUM":
            item.ContentSequence = ContentSequence([*item.get("ContentSequence", []), region])
            return


def _graphic(region: Region) -> tuple[Any, Any]:
    if region.kind == "point":
        return hd.sr.GraphicTypeValues.POINT, np.array([region.points])
    if region.kind == "box":
        left, top, right, bottom = region.points
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    else:
        corners = list(zip(region.points[::2], region.points[1::2], strict=True))
    # A POLYLINE is closed where its first point comes again (PS3.3 C.18.6.1.2).
    closing = [] if region.kind == "line" else corners[:1]
    return hd.sr.GraphicTypeValues.POLYLINE, np.array([*corners, *closing])


def _measured(image: ImageReference | None, images: Mapping[str, Dataset]) -> list[Any] | None:
    """The image; where none is named, all in the evidence are meant (TID 1501)."""
    if image is None:
        return None
    header = images[image.sop]
    frames = _frames(header, image.frame)
    return [hd.sr.SourceImageForMeasurementGroup(header.SOPClassUID, image.sop, frames)]


def _frames(image: Dataset, frame: int) -> list[int] | None:
    # Only references to multi-frame images name frames (PS3.3 table 10-3).
    return [frame] if image.get("NumberOfFrames") else None


def _comments(record: FindingRecord, remarks: Sequence[str]) -> list[Any]:
    # The name comes first: viewers take the first comment as label.
    told = [record.key, *([record.note] if record.note else []), *remarks]
    told += [*(FLAG + flag for flag in record.flags), *([CRITICAL] if record.critical else [])]
    return [hd.sr.TextContentItem(COMMENT, text, RelationshipTypeValues.CONTAINS) for text in told]
