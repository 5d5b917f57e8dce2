"""What went wrong, as HTTP says it: statuses and problem details (RFC 9457).

WebError
├── BadRequest            the request is malformed
├── Forbidden             this server does not do that
├── NotFound              there is no such part of a stored object
├── NotAcceptable         it is stored, but cannot be given in the form asked for
├── PayloadTooLarge       the request is bigger than this server takes
├── UnsupportedMediaType  the body is of a kind this service does not read
└── RangeNotSatisfiable   the byte range lies outside the object
"""

import json
import logging
from http import HTTPStatus
from typing import Any, ClassVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from storage.errors import (
    DuplicateInstance,
    InvalidInstance,
    InvalidQuery,
    QueryTooBroad,
    StorageDown,
    StorageError,
    StorageFull,
    UnknownInstance,
)
from storage.pixels.errors import UndecodablePixels

_log = logging.getLogger(__name__)

STATUS: dict[type[StorageError], int] = {
    InvalidInstance: 400,
    UnknownInstance: 404,
    DuplicateInstance: 409,
    InvalidQuery: 400,
    # PS3.18 10.6.3: "may repeat the request with paging or with a narrower query".
    QueryTooBroad: 413,
    StorageFull: 507,
    StorageDown: 503,
    # It is stored all right, but not to be had as pixels.
    UndecodablePixels: 406,
}
_SERVER_ERROR = 500


class WebError(Exception):
    """The base of what `dicomweb` raises; `str(error)` names what is wrong, safe to show to a client."""

    status: ClassVar[int] = 400


class BadRequest(WebError):
    """The request is malformed."""


class Forbidden(WebError):
    """This server does not do that."""

    status = 403


class NotFound(WebError):
    """There is no such part of a stored object."""

    status = 404


class NotAcceptable(WebError):
    """It is stored, but cannot be given in the form asked for."""

    status = 406


class PayloadTooLarge(WebError):
    """The request is bigger than this server takes."""

    status = 413


class UnsupportedMediaType(WebError):
    """The body is of a kind this service does not read."""

    status = 415


class RangeNotSatisfiable(WebError):
    """The byte range lies outside the object."""

    status = 416

    def __init__(self, message: str, size: int) -> None:
        """`size` is that of the whole object in bytes."""
        super().__init__(message)
        self.size = size


def status_of(error: StorageError) -> int:
    """The HTTP status that says `error`."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), _SERVER_ERROR)


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    """A problem document of type about:blank."""
    body = {"title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    content = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    return Response(content, status, headers, media_type="application/problem+json")


def problem_of(error: StorageError | WebError, request: Request) -> Response:
    """What a client is told of `error`."""
    if isinstance(error, WebError):
        sized = {"Content-Range": f"bytes */{error.size}"} if isinstance(error, RangeNotSatisfiable) else None
        return problem(error.status, str(error), sized)
    status = status_of(error)
    if status >= _SERVER_ERROR:
        _log.error("%s %s: %s", request.method, request.url.path, error)
    retry = {"Retry-After": "5"} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return problem(status, str(error), retry)


def add_error_handlers(app: FastAPI) -> None:
    """Answer errors of storage and of this package, and those of the framework, with problem documents."""

    def known_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, StorageError | WebError)  # noqa: S101 - registered for these types only
        return problem_of(error, request)

    def http_error(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type only
        return problem(error.status_code, error.detail, dict(error.headers or {}))

    def invalid_parameter(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this type only
        return problem(400, "; ".join(_sentence(entry) for entry in error.errors()))

    app.add_exception_handler(StorageError, known_error)
    app.add_exception_handler(WebError, known_error)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(RequestValidationError, invalid_parameter)


def _sentence(entry: dict[str, Any]) -> str:
    place = ".".join(str(part) for part in entry["loc"])
    return f"{place}: {entry['msg']}"
