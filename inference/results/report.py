"""A Comprehensive 3D SR after TID 1500: one measurement group per finding record."""

from collections.abc import Mapping, Sequence
from typing import Any

import highdicom as hd
import numpy as np
from highdicom.sr import CodedConcept, ContentSequence, RelationshipTypeValues
from pydicom import Dataset

from inference.findings import Measurement, ModelIdentity, Score
from inference.records import FindingRecord, ImageReference, Region
from inference.results.coding import (
    CERTAINTIES,
    COMMENT,
    IMAGING_PROCEDURE,
    PERCENT,
    PRESENCES,
    PROCEDURES,
    SCORE_UNIT,
    concept,
    report_algorithm,
)
from inference.results.context import (
    COMPREHENSIVE_3D_SR_STORAGE,
    SEGMENTATION_STORAGE,
    UPS_PUSH,
    ResultContext,
    equipment,
)
from inference.uids import uid_from

SERIES_NUMBER = 901
FLAG = "Caution: "
"""How a comment starts that gives a reason for doubt."""


def report(
    model: ModelIdentity,
    records: Sequence[FindingRecord],
    images: Sequence[Dataset],
    mask: Dataset | None,
    context: ResultContext,
) -> Dataset:
    """The report of `records`, complete but not verified.

    Args:
        model: what found them.
        records: at least one, from `finding_records`.
        images: the headers of all images that the model got.
        mask: the segmentation that records refer to.
        context: where UIDs and times come from, and which report this one supersedes.
    """
    result = hd.sr.Comprehensive3DSR(
        evidence=[*images, *([mask] if mask is not None else [])],
        content=_content(model, records, images),
        series_instance_uid=context.uid("SR series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=context.report,
        instance_number=1,
        is_complete=True,
        previous_versions=_predecessors(context),
        series_description=f"AI, not verified: {model.title}"[:64],
        specific_character_set="ISO_IR 192",
        **equipment(model),
    )
    result.ReferencedPerformedProcedureStepSequence = [_reference(UPS_PUSH, context.work_item)]
    return result


def _content(model: ModelIdentity, records: Sequence[FindingRecord], images: Sequence[Dataset]) -> Any:
    device = hd.sr.DeviceObserverIdentifyingAttributes(
        uid=uid_from("device", model.digest, model.card_digest),
        name=model.title,
        manufacturer_name=model.manufacturer,
        model_name=f"{model.name} {model.version}",
        serial_number=model.digest,
    )
    observer = hd.sr.ObserverContext(CodedConcept("121007", "DCM", "Device"), device)
    procedure = PROCEDURES.get(images[0].get("Modality", ""), IMAGING_PROCEDURE)
    by_uid = {image.SOPInstanceUID: image for image in images}
    groups = [_group(record, model, by_uid) for record in records]
    return hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(observer_device_context=observer),
        procedure_reported=concept(procedure),
        imaging_measurements=groups,
    )


def _group(record: FindingRecord, model: ModelIdentity, images: Mapping[str, Dataset]) -> Any:
    """TID 1411 over a segment, TID 1410 over a region, else TID 1501."""
    shared = _shared(record, model)
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
    group[0].ContentSequence.extend(_comments(record))
    return group


def _shared(record: FindingRecord, model: ModelIdentity) -> dict[str, Any]:
    sites = None
    if record.site is not None:
        laterality = concept(record.laterality) if record.laterality else None
        sites = [hd.sr.FindingSite(concept(record.site), laterality=laterality)]
    numbers = [_number(measurement) for measurement in record.measurements]
    if record.score is not None:
        numbers.append(_score(record.score))
    presence = PRESENCES.get(record.presence)
    stated = [hd.sr.QualitativeEvaluation(concept(record.code), concept(presence))] if presence else None
    return {
        "tracking_identifier": hd.sr.TrackingIdentifier(uid=record.tracking_uid, identifier=record.key),
        "finding_type": concept(record.code),
        "finding_sites": sites,
        "algorithm_id": report_algorithm(model),
        "measurements": numbers or None,
        "qualitative_evaluations": stated,
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
    if (score.concept.value, score.concept.scheme) in CERTAINTIES:
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
    left, top, right, bottom = region.points
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    return hd.sr.GraphicTypeValues.POLYLINE, np.array(corners)


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


def _comments(record: FindingRecord) -> list[Any]:
    # The note comes first: viewers take the first comment as label.
    told = [*([record.note] if record.note else []), *(FLAG + flag for flag in record.flags)]
    return [hd.sr.TextContentItem(COMMENT, text, RelationshipTypeValues.CONTAINS) for text in told]


def _predecessors(context: ResultContext) -> list[Dataset] | None:
    earlier = context.predecessor
    if earlier is None:
        return None
    document = Dataset()
    document.StudyInstanceUID, document.SeriesInstanceUID = earlier.study, earlier.series
    document.SOPClassUID, document.SOPInstanceUID = COMPREHENSIVE_3D_SR_STORAGE, earlier.sop
    return [document]


def _reference(sop_class: str, sop: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, sop
    return item
