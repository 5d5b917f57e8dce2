"""What OpenAPI says of the answers that are problem documents (RFC 9457)."""

from typing import Any

_SCHEMA = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
    "required": ["title", "status", "detail"],
}
_MEANINGS = {
    400: "The request is malformed; the problem names what is wrong",
    401: "Nobody is logged in",
    403: "The reviewer is not who is logged in",
    404: "There is no such thing",
    409: "The state of things does not allow it; the problem says why",
    413: "The body is too large",
    415: "The content type is not application/json",
    429: "Too many listen; try again later",
    503: "Disk, bucket or database does not answer; try again",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The documentation of answers that are problem documents."""
    content = {"application/problem+json": {"schema": _SCHEMA}}
    listed: dict[int | str, dict[str, Any]] = {
        status: {"description": _MEANINGS[status], "content": content} for status in (*statuses, 503)
    }
    return listed | {"4XX": {"description": "Another client error", "content": content}}
