"""Reviews out of signed reports: what is in the objects comes back when the database is lost."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from pydicom import Dataset

from inference.records import FindingRecord
from inference.results.reading import predecessors, read_findings, rejections, remarks
from inference.reviews import Correction, NewReview, Reviewer, SignedReport, Verdict
from inference.reviews_sql import SqlReviews


def restore(sr: Dataset, drafts: Sequence[FindingRecord], history: SqlReviews) -> int:
    """Make the reviews of a signed report known again, where they are not; how many there were.

    What is as in the draft was accepted, what differs was corrected, what no draft has was added. Reviews
    that were never signed are in no object and do not come back.

    Args:
        sr: a report for which `is_verified_report` holds.
        drafts: the findings of all drafts of the study.
        history: where reviews are kept.
    """
    if history.knows_signed(sr.SOPInstanceUID):
        return 0
    observer = sr.VerifyingObserverSequence[0]
    reviewer, at = Reviewer(str(observer.VerifyingObserverName).removesuffix("^")), _moment(observer)
    known = {record.tracking_uid: record for record in drafts}
    said = _said(sr, known, reviewer)
    numbers = {new.finding: history.add(new, at).id for new in said}
    report = SignedReport(
        sr=sr.SOPInstanceUID,
        study=sr.StudyInstanceUID,
        series=sr.SeriesInstanceUID,
        reviewer=reviewer,
        at=at,
        reviews=numbers,
        drafts=tuple(uid for uid in predecessors(sr) if uid in {record.result for record in drafts}),
    )
    history.begin_signing(report)
    history.end_signing(report.sr)
    return len(said)


def compared(record: FindingRecord, draft: FindingRecord) -> Correction:
    """What is different between what a person says and the draft; empty when nothing is."""
    return Correction(
        record.code if record.code != draft.code else None,
        record.measurements if record.measurements != draft.measurements else None,
        record.region if record.region != draft.region else None,
    )


def _said(sr: Dataset, drafts: Mapping[str, FindingRecord], reviewer: Reviewer) -> list[NewReview]:
    rejected, comments = rejections(sr), remarks(sr)
    said = []
    for record in read_findings(sr):
        draft, comment = drafts.get(record.tracking_uid), comments.get(record.tracking_uid, "")
        verdict, correction = _verdict(record, draft, rejected)
        if draft is not None and draft.presence == "absent":
            continue
        said.append(
            NewReview(
                sr.StudyInstanceUID,
                record.tracking_uid,
                verdict,
                reviewer,
                comment,
                correction,
                addition=record if draft is None else None,
                judged=draft,
                object=sr.SOPInstanceUID,
            )
        )
    return said


def _verdict(
    record: FindingRecord, draft: FindingRecord | None, rejected: set[str]
) -> tuple[Verdict, Correction | None]:
    if draft is None:
        return Verdict.MISSED, None
    if record.tracking_uid in rejected:
        return Verdict.REJECT, None
    correction = compared(record, draft)
    return (Verdict.CORRECT, correction) if correction else (Verdict.ACCEPT, None)


def _moment(observer: Dataset) -> datetime:
    """Verification DateTime (0040,A030); without an offset it is that of this machine."""
    text = str(observer.VerificationDateTime)
    return datetime.strptime(text[:14], "%Y%m%d%H%M%S").astimezone(UTC)
