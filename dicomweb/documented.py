"""What the routes of this package share: their parameters, and what OpenAPI says of their answers."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query
from fastapi.responses import Response

from dicomweb.charsets import check_charsets
from dicomweb.media_types import PROBLEM, Accept
from storage.instances import InstanceKey

UID = r"^[0-9.]{1,64}$"


# These are `async` because the framework hands every other over to a thread, which takes longer than they do.
async def _key(
    study: Annotated[str, Path(description="Study Instance UID", pattern=UID)],
    series: Annotated[str, Path(description="Series Instance UID", pattern=UID)],
    sop: Annotated[str, Path(description="SOP Instance UID", pattern=UID)],
) -> InstanceKey:
    return InstanceKey(study, series, sop)


Study = Annotated[str, Path(description="Study Instance UID", pattern=UID)]
Series = Annotated[str, Path(description="Series Instance UID", pattern=UID)]
Key = Annotated[InstanceKey, Depends(_key)]
Endpoint = Callable[..., Response]
Responses = dict[int | str, dict[str, Any]]

STUDY = "/studies/{study}"
SERIES = STUDY + "/series/{series}"
INSTANCE = SERIES + "/instances/{sop}"

_PROBLEM_SCHEMA = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
    "required": ["title", "status", "detail"],
}
_MEANINGS = {
    400: "The request is malformed; the problem names the parameter",
    403: "It is not allowed here",
    404: "There is nothing under this address",
    406: "It cannot be given in an accepted form; the problem names the forms available",
    413: "The body is too large, or the query too broad",
    415: "The body is of a media type that is not read here",
    416: "The range lies outside the resource",
    429: "Too many at once; try again later",
    503: "Disk, bucket or database does not answer; try again",
    507: "There is no room left",
}


async def charsets(
    charset: Annotated[
        str | None, Query(description="Character sets, in place of Accept-Charset; UTF-8 must be among them")
    ] = None,
    header: Annotated[str | None, Header(alias="Accept-Charset", include_in_schema=False)] = None,
) -> None:
    """Refuse what takes no text in UTF-8."""
    check_charsets(charset, header)


async def accepted(
    _: Annotated[None, Depends(charsets)],
    accept: Annotated[str | None, Query(description="Media types, in place of the Accept header")] = None,
    header: Annotated[str | None, Header(alias="Accept", include_in_schema=False)] = None,
) -> Accept:
    """What the client takes."""
    return Accept(header, accept)


Accepting = Annotated[Accept, Depends(accepted)]


def problems(*statuses: int) -> Responses:
    """The documentation of answers that are problem documents; other client errors are problems too."""
    content = {PROBLEM: {"schema": _PROBLEM_SCHEMA}}
    listed: Responses = {
        status: {"description": _MEANINGS[status], "content": content} for status in (*statuses, 503)
    }
    return listed | {"4XX": {"description": "Another client error", "content": content}}


def found(description: str, *media_types: str, **more: Any) -> dict[str, Any]:
    """The documentation of a successful answer in any of `media_types`."""
    return {"description": description, "content": {media: {} for media in media_types}, **more}


def get(
    router: APIRouter, path: str, summary: str, responses: Responses, **more: Any
) -> Callable[[Endpoint], Endpoint]:
    """Answer GET and HEAD of `path` by the decorated function."""

    def added(endpoint: Endpoint) -> Endpoint:
        router.add_api_route(
            path,
            endpoint,
            methods=["GET"],
            summary=summary,
            responses=responses,
            response_class=Response,
            **more,
        )
        router.add_api_route(
            path, endpoint, methods=["HEAD"], include_in_schema=False, response_class=Response
        )
        return endpoint

    return added
