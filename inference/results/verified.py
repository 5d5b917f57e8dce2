"""The verified report: what a person says of the findings of a study, beside the untouched drafts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pydicom import Dataset

from inference.findings import Code
from inference.records import FindingRecord, ImageReference
from inference.results.coding import (
    NOT_FOR_PRESENTATION,
    RENDERING_INTENT,
    Algorithm,
    brief_algorithm,
)
from inference.results.context import MANUFACTURER, VERIFIED_SERIES_NUMBER, Report
from inference.results.document import document
from inference.results.elements import Elements, elements, item
from inference.results.encoding import dated
from inference.results.groups import REJECTED, REMARK, measurement_group
from inference.results.items import CONTAINS, HAS_OBS_CONTEXT, code_item, person_item, text_item
from inference.reviews import Review, SignedReport, Verdict

_OBSERVER_TYPE, _PERSON = Code("121005", "DCM", "Observer Type"), Code("121006", "DCM", "Person")
_PERSON_NAME = Code("121008", "DCM", "Person Observer Name")
_ORGANIZATION = Code("121009", "DCM", "Person Observer's Organization Name")


@dataclass(frozen=True, slots=True)
class Judged:
    """A finding of a draft or of a person, and the review that counts; None where nothing was to judge."""

    record: FindingRecord
    review: Review | None


def verified_report(
    report: SignedReport,
    findings: Sequence[Judged],
    images: Mapping[str, Dataset],
    predecessors: Sequence[Report],
    organization: str,
) -> bytes:
    """The Part 10 file of a Comprehensive 3D SR that the reviewer of `report` answers for.

    Accepted findings are as in the draft, corrected ones as corrected, and those that a person added without
    an algorithm. A rejected finding stays, so that the report is whole: without its place and its numbers,
    marked as not for presentation (111056, 111152 DCM) and, where the draft called it present, as absent.

    Args:
        report: UIDs, reviewer and time; equal arguments give equal bytes.
        findings: at least one.
        images: headers by SOP Instance UID: every image and segmentation that findings name, and an image
            of every series they are about; the first is an image.
        predecessors: the drafts, and verified reports that this one supersedes.
        organization: who the reviewer works for.
    """
    every = list(images.values())
    return document(
        report.sr,
        _own(report, organization, every[0].get("TimezoneOffsetFromUTC")),
        observer=[
            code_item(HAS_OBS_CONTEXT, _OBSERVER_TYPE, _PERSON),
            person_item(HAS_OBS_CONTEXT, _PERSON_NAME, _person(report)),
            text_item(HAS_OBS_CONTEXT, _ORGANIZATION, organization),
        ],
        groups=[_group(each, images) for each in findings],
        evidence=every,
        predecessors=predecessors,
        at=report.at,
    )


def _own(report: SignedReport, organization: str, offset: str | None) -> Elements:
    verifying = item(
        VerifyingOrganization=organization,
        VerificationDateTime="".join(dated(report.at, offset)),
        VerifyingObserverName=_person(report),
        VerifyingObserverIdentificationCodeSequence=[],
    )
    return elements(
        SeriesInstanceUID=report.series,
        SeriesNumber=VERIFIED_SERIES_NUMBER,
        SeriesDescription="Verified report",
        Manufacturer=MANUFACTURER,
        VerificationFlag="VERIFIED",
        PreliminaryFlag="FINAL",
        VerifyingObserverSequence=[verifying],
        ReferencedPerformedProcedureStepSequence=[],
    )


def _person(report: SignedReport) -> str:
    """Person Name: a name in one piece is a family name (PS3.5 6.2.1)."""
    name = report.reviewer.name
    return name if "^" in name else f"{name}^"


def _group(judged: Judged, images: Mapping[str, Dataset]) -> bytes:
    record, review = judged.record, judged.review
    if review is None:
        return measurement_group(_placed(record, images), _algorithm(record), images)
    if review.verdict is Verdict.REJECT:
        return _rejected(record, review, images)
    remarks = [REMARK + review.comment] if review.comment else []
    if review.correction is not None:
        corrected = review.correction.applied(record)
        return measurement_group(_placed(corrected, images), (), images, remarks=remarks)
    return measurement_group(_placed(record, images), _algorithm(record), images, remarks=remarks)


def _rejected(record: FindingRecord, review: Review, images: Mapping[str, Dataset]) -> bytes:
    image = record.image
    if record.region is not None:
        image = ImageReference(record.region.sop, record.region.frame)
    presence = record.presence if record.presence == "not stated" else "absent"
    bare = replace(
        record, presence=presence, image=image, region=None, segment=None, measurements=(), score=None
    )
    intent = code_item(CONTAINS, RENDERING_INTENT, NOT_FOR_PRESENTATION)
    remark = f"{REJECTED}: {review.comment}" if review.comment else REJECTED
    return measurement_group(
        replace(_placed(bare, images), note=""),
        _algorithm(record),
        images,
        evaluations=[intent],
        remarks=[remark],
    )


def _algorithm(record: FindingRecord) -> Algorithm:
    """TID 4019 in short: the draft has the rest."""
    return brief_algorithm(record.model, record.version) if record.model else ()


def _placed(record: FindingRecord, images: Mapping[str, Dataset]) -> FindingRecord:
    """The record with an image where nothing else tells its series: here several may be the evidence."""
    if record.region or record.segment or record.image:
        return record
    first = next(each for each in images.values() if each.SeriesInstanceUID == record.series)
    return replace(record, image=ImageReference(first.SOPInstanceUID, 1))
