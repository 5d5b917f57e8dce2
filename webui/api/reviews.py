"""Findings and their reviews: read, judge, take back, add."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from inference.findings import Code
from inference.reviewing import ReviewedStudy, Reviews
from inference.reviews import Verdict
from webui.api.answers import acknowledgement_json, finding_json, history_json, review_json, study_json
from webui.api.bodies import AcknowledgementBody, FindingBody, ReviewBody, SignBody, UndoBody
from webui.api.documented import problems
from webui.api.json_route import JsonRoute
from webui.api.reviewer import Identify, ReviewerBody

if TYPE_CHECKING:
    from inference.signing import Signing

Uid = Annotated[str, Path(pattern=r"^[0-9.]{1,64}$")]
Number = Annotated[int, Path(ge=1, le=2**63 - 1, description="Number of the review")]


def reviews_router(reviews: Reviews, signing: Callable[[], "Signing"], identify: Identify) -> APIRouter:
    """The routes under `/studies/{study}`.

    Args:
        reviews: what reads and takes reviews.
        signing: gives what writes verified reports, when one is wanted.
        identify: who the reviewer is.
    """
    router = APIRouter(tags=["reviews"], route_class=JsonRoute)

    @router.get("/me", summary="Who you are, as far as the server knows", responses=problems())
    def me(request: Request) -> dict[str, Any]:
        return {"name": identify.user(request) or None, "fixed": identify.by_proxy}

    @router.get(
        "/studies/{study}/findings",
        summary="What models and people found in a study, and the verdicts",
        responses=problems(400, 404),
    )
    def findings(study: Uid) -> dict[str, Any]:
        return study_json(reviews.of_study(study))

    @router.post(
        "/studies/{study}/findings",
        status_code=201,
        summary="Add a finding that no model made",
        responses=problems(400, 401, 403, 404, 413, 415),
    )
    def add(study: Uid, body: FindingBody, request: Request) -> dict[str, Any]:
        reviewer = identify.reviewer(request, body.reviewer)
        known = known_codes(reviews.of_study(study))
        return finding_json(reviews.add(body.record(study, known), reviewer, body.comment))

    @router.get(
        "/studies/{study}/findings/{finding}/reviews",
        summary="All that was ever said of a finding, oldest first",
        responses=problems(400, 404),
    )
    def history(study: Uid, finding: Uid) -> dict[str, Any]:
        return {"reviews": [history_json(each) for each in reviews.history(study, finding)]}

    @router.post(
        "/studies/{study}/findings/{finding}/reviews",
        status_code=201,
        summary="Accept, reject or correct a finding",
        responses=problems(400, 401, 403, 404, 413, 415),
    )
    def judge(study: Uid, finding: Uid, body: ReviewBody, request: Request) -> dict[str, Any]:
        reviewer = identify.reviewer(request, body.reviewer)
        there = reviews.of_study(study)
        record = there.finding(finding).record
        correction = body.corrected.correction(record, known_codes(there)) if body.corrected else None
        review = reviews.judge(
            study,
            finding,
            Verdict(body.verdict),
            reviewer,
            comment=body.comment,
            correction=correction,
        )
        return review_json(review)

    @router.delete(
        "/studies/{study}/findings/{finding}/reviews/{review}",
        status_code=204,
        response_class=Response,
        summary="Take a review back; the history keeps it",
        responses=problems(400, 401, 403, 404, 413, 415),
    )
    def undo(
        study: Uid,
        finding: Uid,
        review: Number,
        request: Request,
        *,
        body: UndoBody | None = None,
        reviewer: Annotated[str | None, Query(max_length=64, description="Name, in place of a body")] = None,
    ) -> None:
        said = body.reviewer if body else None
        if said is None and reviewer:
            said = ReviewerBody(name=reviewer)
        reviews.undo(study, finding, review, identify.reviewer(request, said))

    @router.post(
        "/studies/{study}/findings/{finding}/acknowledgement",
        status_code=201,
        summary="Acknowledge a critical finding; whoever did first stays",
        responses=problems(400, 401, 403, 404, 413, 415),
    )
    def acknowledge(study: Uid, finding: Uid, body: AcknowledgementBody, request: Request) -> dict[str, str]:
        reviewer = identify.reviewer(request, body.reviewer)
        return acknowledgement_json(reviews.acknowledge(study, finding, reviewer))

    @router.post(
        "/studies/{study}/sign",
        status_code=201,
        summary="Store the verified report of a study",
        responses=problems(400, 401, 403, 404, 409, 413, 415),
    )
    def sign(study: Uid, body: SignBody, request: Request) -> dict[str, str]:
        reviewer = identify.reviewer(request, body.reviewer)
        report = signing().sign(study, reviewer, leave=body.unreviewed == "leave")
        return {"sr_uid": report.sr, "series_uid": report.series}

    return router


def known_codes(study: ReviewedStudy) -> list[Code]:
    """The codes that models use in a study: what a label may name."""
    return list(dict.fromkeys(each.record.code for each in study.findings))
