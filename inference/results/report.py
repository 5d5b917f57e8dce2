"""A Comprehensive 3D SR after TID 1500: one measurement group per finding record."""

from collections.abc import Sequence
from typing import Any

import highdicom as hd
from highdicom.sr import CodedConcept
from pydicom import Dataset

from inference.findings import ModelIdentity
from inference.records import FindingRecord
from inference.results.coding import IMAGING_PROCEDURE, PROCEDURES, concept, report_algorithm
from inference.results.context import (
    COMPREHENSIVE_3D_SR_STORAGE,
    UPS_PUSH,
    Report,
    ResultContext,
    equipment,
)
from inference.results.groups import measurement_group
from inference.uids import uid_from

SERIES_NUMBER = 901


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
    content = _content(model, records, images)
    tree = content[0].pop("ContentSequence")
    content[0].ContentSequence = hd.sr.ContentSequence()
    result = hd.sr.Comprehensive3DSR(
        evidence=[*images, *([mask] if mask is not None else [])],
        content=content,
        series_instance_uid=context.uid("SR series"),
        series_number=SERIES_NUMBER,
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
    """Procedure Reported (PS3.16 TID 1500), as far as the images tell."""
    return concept(PROCEDURES.get(images[0].get("Modality", ""), IMAGING_PROCEDURE))


def predecessor(earlier: Report) -> Dataset:
    """A stored report as highdicom takes previous versions."""
    document = Dataset()
    document.StudyInstanceUID, document.SeriesInstanceUID = earlier.study, earlier.series
    document.SOPClassUID, document.SOPInstanceUID = COMPREHENSIVE_3D_SR_STORAGE, earlier.sop
    return document


def _reference(sop_class: str, sop: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, sop
    return item
