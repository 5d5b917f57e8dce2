"""Which reviewed series make a training set, and what is said of them."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from inference.findings import Code
from inference.records import FindingRecord
from inference.reviewing import ReviewedFinding, ReviewedStudy
from inference.reviews import Correction, Review, Reviewer, Verdict
from inference.training.pseudonyms import Pseudonyms


@dataclass(frozen=True, slots=True)
class Case:
    """One series with the findings that people have judged in it."""

    study: str
    series: str
    findings: tuple[ReviewedFinding, ...]


def cases_of(study: ReviewedStudy, model: str | None = None, since: datetime | None = None) -> Iterator[Case]:
    """The series of a study in which a person judged a finding, or signed that there is none.

    Args:
        study: with its findings.
        model: only what this model found, and what people added in the series that it looked at.
        since: only series with a review, or a signature, of this moment or later.
    """
    signed = max((report.at for report in study.signed), default=None)
    by_series: dict[str, list[ReviewedFinding]] = {}
    for finding in study.findings:
        if not finding.superseded and not finding.waits:
            by_series.setdefault(finding.record.series, []).append(finding)
    for series, found in by_series.items():
        chosen = tuple(each for each in found if model is None or each.record.model in {model, ""})
        if model is not None and not any(each.record.model == model for each in chosen):
            continue
        moments = [each.review.at for each in chosen if each.review] or ([signed] if signed else [])
        if moments and (since is None or max(moments) >= since):
            yield Case(chosen[0].record.study, series, chosen)


def anonymous(finding: ReviewedFinding, number: int, pseudonyms: Pseudonyms) -> ReviewedFinding:
    """The finding, and its review, without names, comments and original UIDs; times are left to the caller.

    Args:
        finding: as people said it.
        number: within its case, from 1.
        pseudonyms: what stands for the UIDs.
    """
    record = _record(finding.record, number, pseudonyms)
    review = finding.review and _review(finding.review, pseudonyms)
    return replace(finding, record=record, review=review, acknowledgement=None)


def _record(record: FindingRecord, number: int, pseudonyms: Pseudonyms) -> FindingRecord:
    uid = pseudonyms.uid
    return replace(
        record,
        work_item="",
        study=uid(record.study),
        series=uid(record.series),
        result=uid(record.result),
        key=f"{record.code.meaning} {number}",
        tracking_uid=uid(record.tracking_uid),
        region=record.region and replace(record.region, sop=uid(record.region.sop)),
        segment=record.segment and replace(record.segment, sop=uid(record.segment.sop)),
        image=record.image and replace(record.image, sop=uid(record.image.sop)),
        note="",
        supersedes=None,
    )


def _review(review: Review, pseudonyms: Pseudonyms) -> Review:
    reviewer = Reviewer(pseudonyms.name("R", f"{review.reviewer.name}\0{review.reviewer.id}"))
    correction = review.correction and _correction(review.correction, pseudonyms)
    finding = pseudonyms.uid(review.finding)
    return replace(
        review,
        finding=finding,
        reviewer=reviewer,
        comment="",
        correction=correction,
        addition=None,
        object=None,
    )


def _correction(correction: Correction, pseudonyms: Pseudonyms) -> Correction:
    region = correction.region
    return replace(correction, region=region and replace(region, sop=pseudonyms.uid(region.sop)))


def label(finding: ReviewedFinding) -> dict[str, Any]:
    """What a model may learn from a finding, as values for JSON: as people would have it.

    Args:
        finding: anonymous.
    """
    review, proposed = finding.review, finding.record
    record = review.correction.applied(proposed) if review and review.correction else proposed
    rejected = review is not None and review.verdict is Verdict.REJECT
    told = {
        "tracking_uid": record.tracking_uid,
        "verdict": review.verdict.value if review else None,
        "reviewer": review.reviewer.name if review else None,
        "model": {"name": proposed.model, "version": proposed.version} if proposed.model else None,
        "present": record.presence != "absent" and not rejected,
        **_said(record),
    }
    return told | ({"proposed": _said(proposed)} if record is not proposed else {})


def _said(record: FindingRecord) -> dict[str, Any]:
    return {
        "code": _code(record.code),
        "site": _code(record.site),
        "laterality": _code(record.laterality),
        "score": record.score.value if record.score else None,
        "measurements": [asdict(each) for each in record.measurements],
        "region": record.region and asdict(record.region),
        "mask": record.segment and asdict(record.segment),
        "image": record.image and asdict(record.image),
    }


def _code(code: Code | None) -> Mapping[str, str] | None:
    return asdict(code) if code else None
