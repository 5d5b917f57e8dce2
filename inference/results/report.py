"""The report of a model: a Comprehensive 3D SR after TID 1500, one measurement group per finding record."""

from collections.abc import Sequence

from pydicom import Dataset

from inference.findings import Code, ModelIdentity
from inference.records import FindingRecord
from inference.results.coding import report_algorithm
from inference.results.context import UPS_PUSH, ResultContext, equipment
from inference.results.document import document
from inference.results.elements import data_set, elements
from inference.results.groups import measurement_group
from inference.results.items import HAS_OBS_CONTEXT, code_item, reference, text_item, uid_item
from inference.uids import uid_from

SERIES_NUMBER = 901
_OBSERVER_TYPE, _DEVICE = Code("121005", "DCM", "Observer Type"), Code("121007", "DCM", "Device")
_DEVICE_UID = Code("121012", "DCM", "Device Observer UID")
_DEVICE_NAME = Code("121013", "DCM", "Device Observer Name")
_DEVICE_MANUFACTURER = Code("121014", "DCM", "Device Observer Manufacturer")
_DEVICE_MODEL = Code("121015", "DCM", "Device Observer Model Name")
_DEVICE_SERIAL_NUMBER = Code("121016", "DCM", "Device Observer Serial Number")


def report(
    model: ModelIdentity,
    records: Sequence[FindingRecord],
    evidence: Sequence[Dataset],
    context: ResultContext,
) -> bytes:
    """The Part 10 file of the report of `records`, complete but not verified.

    Args:
        model: what found them.
        records: at least one, from `finding_records`.
        evidence: the headers of all images that the model got, and of the segmentation that records refer to.
        context: where UIDs and times come from, and which report this one supersedes.
    """
    by_uid = {each.SOPInstanceUID: each for each in evidence}
    algorithm = report_algorithm(model)
    own = elements(
        SeriesInstanceUID=context.uid("SR series"),
        SeriesNumber=SERIES_NUMBER,
        SeriesDescription=f"AI, not verified: {model.title}"[:64],
        VerificationFlag="UNVERIFIED",
        PreliminaryFlag="PRELIMINARY",
        ReferencedPerformedProcedureStepSequence=[data_set(reference(UPS_PUSH, context.work_item))],
        **equipment(model),
    )
    return document(
        context.report,
        own,
        observer=_observer(model),
        groups=[measurement_group(record, algorithm, by_uid) for record in records],
        evidence=evidence,
        predecessors=[context.predecessor] if context.predecessor else [],
        at=context.at,
    )


def _observer(model: ModelIdentity) -> list[bytes]:
    """TID 1004."""
    told = (
        (_DEVICE_NAME, model.title),
        (_DEVICE_MANUFACTURER, model.manufacturer),
        (_DEVICE_MODEL, f"{model.name} {model.version}"),
        (_DEVICE_SERIAL_NUMBER, model.digest),
    )
    return [
        code_item(HAS_OBS_CONTEXT, _OBSERVER_TYPE, _DEVICE),
        uid_item(HAS_OBS_CONTEXT, _DEVICE_UID, uid_from("device", model.digest, model.card_digest)),
        *(text_item(HAS_OBS_CONTEXT, name, value) for name, value in told),
    ]
