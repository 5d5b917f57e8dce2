"""Results as highdicom makes them: what ours are compared with."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import highdicom as hd
import numpy as np
from highdicom.sr import CodedConcept, ContentSequence, RelationshipTypeValues
from pydicom import Dataset

from inference.findings import Analysis, Code, Measurement, ModelIdentity, Score, Segment
from inference.records import FindingRecord, ImageReference, Region
from inference.results.coding import (
    IMAGING_PROCEDURE,
    NOT_FOR_PRESENTATION,
    PERCENT,
    PRESENCES,
    PROCEDURES,
    RENDERING_INTENT,
    SCORE_UNIT,
    parameters,
)
from inference.results.context import (
    COMPREHENSIVE_3D_SR_STORAGE,
    MANUFACTURER,
    SEGMENTATION_STORAGE,
    UPS_PUSH,
    VERIFIED_SERIES_NUMBER,
    Report,
    ResultContext,
)
from inference.results.groups import CRITICAL, FLAG, REJECTED, REMARK, tracking_identifier
from inference.results.rows import finding_records
from inference.results.verified import Judged
from inference.reviews import Review, SignedReport, Verdict
from inference.uids import uid_from

ARTIFICIAL_INTELLIGENCE = CodedConcept("123110", "DCM", "Artificial Intelligence")
COMMENT = CodedConcept("121106", "DCM", "Comment")
PERSON = CodedConcept("121006", "DCM", "Person")


def results(analysis: Analysis, images: Sequence[Dataset], context: ResultContext) -> list[Dataset]:
    """The segmentation, where a segment has a pixel, and the report."""
    records = finding_records(analysis, context)
    by_uid = {image.SOPInstanceUID: image for image in images}
    shown = dict.fromkeys(source.instance.key.sop for source in analysis.frames)
    mask = None
    if any(segment.mask(i).any() for segment in analysis.segments for i in range(len(segment.labels))):
        mask = segmentation(analysis, [by_uid[sop] for sop in shown], context)
    sr = report(analysis.model, records, images, mask, context)
    made = [sr] if mask is None else [mask, sr]
    for each in made:
        if offset := images[0].get("TimezoneOffsetFromUTC"):
            each.TimezoneOffsetFromUTC = offset
    return made


def equipment(model: ModelIdentity) -> dict[str, Any]:
    runtime = [value for name, value in model.runtime if name == "runtime"]
    return {
        "manufacturer": model.manufacturer,
        "manufacturer_model_name": model.title,
        "software_versions": [f"{model.name} {model.version}", *runtime],
        "device_serial_number": model.digest,
    }


def concept(code: Code) -> CodedConcept:
    return CodedConcept(code.value, code.scheme, code.meaning)


def report_algorithm(model: ModelIdentity) -> hd.sr.AlgorithmIdentification:
    return hd.sr.AlgorithmIdentification(
        name=model.name,
        version=model.version,
        parameters=parameters(model),
        family=ARTIFICIAL_INTELLIGENCE,
        manufacturer=model.manufacturer,
    )


def segment_algorithm(model: ModelIdentity) -> hd.AlgorithmIdentificationSequence:
    return hd.AlgorithmIdentificationSequence(
        name=model.name,
        family=ARTIFICIAL_INTELLIGENCE,
        version=model.version,
        source=model.manufacturer,
        parameters={str(number): value for number, value in enumerate(parameters(model), 1)},
    )


def measurement_group(
    record: FindingRecord,
    algorithm: hd.sr.AlgorithmIdentification | None,
    images: Mapping[str, Dataset],
    *,
    evaluations: Sequence[hd.sr.QualitativeEvaluation] = (),
    remarks: Sequence[str] = (),
) -> Any:
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
    closing = [] if region.kind == "line" else corners[:1]
    return hd.sr.GraphicTypeValues.POLYLINE, np.array([*corners, *closing])


def _measured(image: ImageReference | None, images: Mapping[str, Dataset]) -> list[Any] | None:
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


def report(
    model: ModelIdentity,
    records: Sequence[FindingRecord],
    images: Sequence[Dataset],
    mask: Dataset | None,
    context: ResultContext,
) -> Dataset:
    content = _content(model, records, images)
    tree = content[0].pop("ContentSequence")
    content[0].ContentSequence = hd.sr.ContentSequence()
    result = hd.sr.Comprehensive3DSR(
        evidence=[*images, *([mask] if mask is not None else [])],
        content=content,
        series_instance_uid=context.uid("SR series"),
        series_number=901,
        sop_instance_uid=context.report,
        instance_number=1,
        is_complete=True,
        previous_versions=[predecessor(context.predecessor)] if context.predecessor else None,
        series_description=f"AI, not verified: {model.title}"[:64],
        specific_character_set="ISO_IR 192",
        **equipment(model),
    )
    # Only now: highdicom would copy the tree and walk it twice, for half of the time of a report.
    result.add(tree)
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
    by_uid = {image.SOPInstanceUID: image for image in images}
    algorithm = report_algorithm(model)
    return hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(observer_device_context=observer),
        procedure_reported=procedure(images),
        imaging_measurements=[measurement_group(record, algorithm, by_uid) for record in records],
    )


def procedure(images: Sequence[Dataset]) -> CodedConcept:
    return concept(PROCEDURES.get(images[0].get("Modality", ""), IMAGING_PROCEDURE))


def predecessor(earlier: Report) -> Dataset:
    document = Dataset()
    document.StudyInstanceUID, document.SeriesInstanceUID = earlier.study, earlier.series
    document.SOPClassUID, document.SOPInstanceUID = COMPREHENSIVE_3D_SR_STORAGE, earlier.sop
    return document


def _reference(sop_class: str, sop: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, sop
    return item


def segmentation(analysis: Analysis, images: Sequence[Dataset], context: ResultContext) -> Dataset:
    result = hd.seg.Segmentation(
        source_images=images,
        pixel_array=_masks(analysis, images),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_described(segment, analysis.model, context) for segment in analysis.segments],
        series_instance_uid=context.uid("SEG series"),
        series_number=900,
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


def _masks(analysis: Analysis, images: Sequence[Dataset]) -> np.ndarray:
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
    values = [value for segment in segments for value in segment.values]
    return len(set(values)) < len(values) or any(each.labels is not segments[0].labels for each in segments)


def _numbered(segments: Sequence[Segment], places: Sequence[int], shape: tuple[int, ...]) -> np.ndarray:
    number = np.zeros(256, np.uint8)
    for segment in segments:
        number[list(segment.values)] = segment.number
    mask = np.zeros(shape, np.uint8)
    mask[places] = number[segments[0].labels]
    return mask


def _stacked(segments: Sequence[Segment], places: Sequence[int], shape: tuple[int, ...]) -> np.ndarray:
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


def verified_report(
    report: SignedReport,
    findings: Sequence[Judged],
    images: Mapping[str, Dataset],
    predecessors: Sequence[Report],
    organization: str,
) -> Dataset:
    person = hd.sr.PersonObserverIdentifyingAttributes(name=_person(report), organization_name=organization)
    groups = [_group(each, images) for each in findings]
    content = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(hd.sr.ObserverContext(PERSON, person)),
        procedure_reported=procedure(list(images.values())),
        imaging_measurements=groups,
    )
    return hd.sr.Comprehensive3DSR(
        evidence=list(images.values()),
        content=content,
        series_instance_uid=report.series,
        series_number=VERIFIED_SERIES_NUMBER,
        sop_instance_uid=report.sr,
        instance_number=1,
        manufacturer=MANUFACTURER,
        is_complete=True,
        is_final=True,
        is_verified=True,
        verifying_observer_name=_person(report),
        verifying_organization=organization,
        previous_versions=[predecessor(each) for each in predecessors] or None,
        series_description="Verified report",
        specific_character_set="ISO_IR 192",
    )


def _person(report: SignedReport) -> str:
    name = report.reviewer.name
    return name if "^" in name else f"{name}^"


def _group(judged: Judged, images: Mapping[str, Dataset]) -> object:
    record, review = judged.record, judged.review
    if review is None:
        return measurement_group(_placed(record, images), _brief(record), images)
    if review.verdict is Verdict.REJECT:
        return _rejected(record, review, images)
    remarks = [REMARK + review.comment] if review.comment else []
    if review.correction is not None:
        corrected = review.correction.applied(record)
        return measurement_group(_placed(corrected, images), None, images, remarks=remarks)
    return measurement_group(_placed(record, images), _brief(record), images, remarks=remarks)


def _rejected(record: FindingRecord, review: Review, images: Mapping[str, Dataset]) -> object:
    image = record.image
    if record.region is not None:
        image = ImageReference(record.region.sop, record.region.frame)
    presence = record.presence if record.presence == "not stated" else "absent"
    bare = replace(
        record, presence=presence, image=image, region=None, segment=None, measurements=(), score=None
    )
    intent = hd.sr.QualitativeEvaluation(concept(RENDERING_INTENT), concept(NOT_FOR_PRESENTATION))
    remark = f"{REJECTED}: {review.comment}" if review.comment else REJECTED
    return measurement_group(
        replace(_placed(bare, images), note=""),
        _brief(record),
        images,
        evaluations=[intent],
        remarks=[remark],
    )


def _brief(record: FindingRecord) -> hd.sr.AlgorithmIdentification | None:
    if not record.model:
        return None
    return hd.sr.AlgorithmIdentification(record.model, record.version, family=ARTIFICIAL_INTELLIGENCE)


def _placed(record: FindingRecord, images: Mapping[str, Dataset]) -> FindingRecord:
    if record.region or record.segment or record.image:
        return record
    first = next(each for each in images.values() if each.SeriesInstanceUID == record.series)
    return replace(record, image=ImageReference(first.SOPInstanceUID, 1))
