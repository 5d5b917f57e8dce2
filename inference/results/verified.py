"""The verified report: what a person says of the findings of a study, beside the untouched drafts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import highdicom as hd
from highdicom.sr import CodedConcept
from pydicom import Dataset

from inference.records import FindingRecord, ImageReference
from inference.results.coding import ARTIFICIAL_INTELLIGENCE, NOT_FOR_PRESENTATION, RENDERING_INTENT, concept
from inference.results.context import MANUFACTURER, VERIFIED_SERIES_NUMBER, Report
from inference.results.encoding import dated, encoded
from inference.results.groups import REJECTED, REMARK, measurement_group
from inference.results.report import predecessor, procedure
from inference.reviews import Review, SignedReport, Verdict

PERSON = CodedConcept("121006", "DCM", "Person")


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
    person = hd.sr.PersonObserverIdentifyingAttributes(name=_person(report), organization_name=organization)
    groups = [_group(each, images) for each in findings]
    content = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(hd.sr.ObserverContext(PERSON, person)),
        procedure_reported=procedure(list(images.values())),
        imaging_measurements=groups,
    )
    result = hd.sr.Comprehensive3DSR(
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
    offset = next(iter(images.values())).get("TimezoneOffsetFromUTC")
    result.VerifyingObserverSequence[0].VerificationDateTime = _moment(report.at, offset)
    return encoded(result, report.at, offset)


def _person(report: SignedReport) -> str:
    """Person Name; highdicom wants a caret, which a name in one piece has behind it (PS3.5 6.2.1)."""
    name = report.reviewer.name
    return name if "^" in name else f"{name}^"


def _moment(at: datetime, offset: str | None) -> str:
    date, time = dated(at, offset)
    return date + time


def _group(judged: Judged, images: Mapping[str, Dataset]) -> object:
    record, review = judged.record, judged.review
    if review is None:
        return measurement_group(_placed(record, images), _algorithm(record), images)
    if review.verdict is Verdict.REJECT:
        return _rejected(record, review, images)
    remarks = [REMARK + review.comment] if review.comment else []
    if review.correction is not None:
        corrected = review.correction.applied(record)
        return measurement_group(_placed(corrected, images), None, images, remarks=remarks)
    return measurement_group(_placed(record, images), _algorithm(record), images, remarks=remarks)


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
        _algorithm(record),
        images,
        evaluations=[intent],
        remarks=[remark],
    )


def _algorithm(record: FindingRecord) -> hd.sr.AlgorithmIdentification | None:
    """TID 4019 in short: the draft has the rest."""
    if not record.model:
        return None
    return hd.sr.AlgorithmIdentification(record.model, record.version, family=ARTIFICIAL_INTELLIGENCE)


def _placed(record: FindingRecord, images: Mapping[str, Dataset]) -> FindingRecord:
    """The record with an image where nothing else tells its series: here several may be the evidence."""
    if record.region or record.segment or record.image:
        return record
    first = next(each for each in images.values() if each.SeriesInstanceUID == record.series)
    return replace(record, image=ImageReference(first.SOPInstanceUID, 1))
