"""Findings and reviews as JSON."""

from typing import Any

from inference.acknowledgements_sql import Acknowledgement
from inference.findings import Code, Measurement
from inference.records import FindingRecord, Region
from inference.reviewing import DraftReport, ReviewedFinding, ReviewedStudy
from inference.reviews import Correction, Review, Verdict


def study_json(study: ReviewedStudy) -> dict[str, Any]:
    """The findings of a study; what a model looked for and did not find is in `results` alone."""
    found = (each for each in study.findings if each.record.presence != "absent")
    verified = {draft for report in study.signed for draft in report.drafts}
    return {
        "findings": [finding_json(each) for each in found],
        "results": [_result(draft, verified=draft.stored.key.sop in verified) for draft in study.drafts],
        "verified": [
            {
                "sr_uid": report.sr,
                "series_uid": report.series,
                "by": report.reviewer.name,
                "at": report.at.isoformat(),
            }
            for report in study.signed
        ],
    }


def finding_json(finding: ReviewedFinding) -> dict[str, Any]:
    """One finding as it was made, and what is said of it."""
    record = finding.record
    return {
        "id": record.tracking_uid,
        "result_uid": record.result or None,
        "series_uid": record.series,
        "model": record.model or None,
        "model_version": record.version or None,
        "label": record.code.meaning,
        "code": _code(record.code),
        "presence": record.presence,
        "site": _site(record),
        "score": _score(record),
        "measurements": [_measurement(each) for each in (*record.measurements, *_raw_score(record))],
        "region": _region(record.region),
        "image": {"sop_uid": record.image.sop, "frame": record.image.frame} if record.image else None,
        "segment": {"sop_uid": record.segment.sop, "number": record.segment.number}
        if record.segment
        else None,
        "note": record.note,
        "flags": list(record.flags),
        "superseded": finding.superseded,
        "signed": finding.signed,
        "critical": record.critical,
        "acknowledgement": acknowledgement_json(finding.acknowledgement) if finding.acknowledgement else None,
        "review": review_json(finding.review) if finding.review else None,
    }


def acknowledgement_json(acknowledgement: Acknowledgement) -> dict[str, str]:
    """Who has seen a critical finding, and when."""
    return {"by": acknowledgement.reviewer.name, "at": acknowledgement.at.isoformat()}


def review_json(review: Review) -> dict[str, Any]:
    """One review; who adds a finding accepts it."""
    verdict = Verdict.ACCEPT if review.verdict is Verdict.MISSED else review.verdict
    return {
        "id": str(review.id),
        "verdict": verdict.value,
        "by": review.reviewer.name,
        "at": review.at.isoformat(),
        "comment": review.comment,
        "corrected": _corrected(review.correction) if review.correction else {},
    }


def history_json(review: Review) -> dict[str, Any]:
    """One row of the history."""
    told = {"verdict": review.verdict.value, "undoes": str(review.undoes) if review.undoes else None}
    return review_json(review) | told


def _corrected(correction: Correction) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if correction.code is not None:
        told |= {"label": correction.code.meaning, "code": _code(correction.code)}
    if correction.measurements is not None:
        told["measurements"] = [_measurement(each) for each in correction.measurements]
    if correction.region is not None:
        told["region"] = _region(correction.region)
    return told


def _result(draft: DraftReport, *, verified: bool) -> dict[str, Any]:
    first, stored = draft.records[0], draft.stored
    return {
        "sr_uid": stored.key.sop,
        "series_uid": stored.key.series,
        "model": first.model,
        "model_version": first.version,
        "work_item": first.work_item,
        "created_at": stored.stored_at.isoformat() if stored.stored_at else None,
        "superseded": draft.superseded,
        "verified": verified,
        "nothing_found": draft.nothing_found,
    }


def _code(code: Code) -> dict[str, str]:
    return {"value": code.value, "scheme": code.scheme, "meaning": code.meaning}


def _site(record: FindingRecord) -> str | None:
    if record.site is None:
        return None
    return (
        f"{record.site.meaning}, {record.laterality.meaning.lower()}"
        if record.laterality
        else record.site.meaning
    )


def _is_certainty(record: FindingRecord) -> bool:
    return record.score is not None and record.score.concept.names_certainty


def _score(record: FindingRecord) -> float | None:
    return record.score.value if record.score and _is_certainty(record) else None


def _raw_score(record: FindingRecord) -> tuple[Measurement, ...]:
    """A score that is no certainty is a number like others."""
    if record.score is None or _is_certainty(record):
        return ()
    return (Measurement(record.score.concept, record.score.value, Code("{score}", "UCUM", "score")),)


def _measurement(measurement: Measurement) -> dict[str, Any]:
    derived = f" ({measurement.derivation.meaning.lower()})" if measurement.derivation else ""
    return {
        "name": measurement.concept.meaning,
        "detail": derived.strip(" ()"),
        "value": measurement.value,
        "unit": measurement.unit.value,
        "code": _code(measurement.concept),
    }


def _region(region: Region | None) -> dict[str, Any] | None:
    if region is None:
        return None
    pairs = list(zip(region.points[::2], region.points[1::2], strict=True))
    return {
        "sop_uid": region.sop,
        "frame": region.frame,
        "kind": region.kind,
        "points": [list(pair) for pair in pairs],
    }
