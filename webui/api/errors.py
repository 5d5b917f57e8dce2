"""Errors of reviews as problem documents (RFC 9457)."""

import json
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.responses import Response

from inference.reviews import (
    InvalidReview,
    NotJudged,
    ReviewError,
    UnknownFinding,
    UnknownReview,
    UnknownStudy,
)

STATUS: dict[type[ReviewError], int] = {
    InvalidReview: 400,
    UnknownStudy: 404,
    UnknownFinding: 404,
    UnknownReview: 404,
    NotJudged: 409,
}


def add_review_errors(app: FastAPI) -> None:
    """Answer errors of reviews with problem documents; one that names findings lists them in `findings`."""

    def answer(_: Request, error: Exception) -> Response:
        assert isinstance(error, ReviewError)  # noqa: S101 - registered for this type only
        status = STATUS[type(error)]
        body = {"title": HTTPStatus(status).phrase, "status": status, "detail": str(error)}
        listed = {"findings": list(error.findings)} if isinstance(error, NotJudged) else {}
        return Response(json.dumps(body | listed), status, media_type="application/problem+json")

    app.add_exception_handler(ReviewError, answer)
