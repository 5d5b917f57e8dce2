"""The change feed: everything that happened to what is stored, in order and without gaps (not in PS3.18).

A client reads on from the cursor of what it has seen; or it listens, and is told (HTML Living Standard 9.2,
server-sent events). A listener costs one query of bounded size in a second, and there are only so many.
"""

import json
from collections.abc import AsyncIterator
from http import HTTPStatus
from threading import BoundedSemaphore
from typing import Annotated, Any

import anyio
from anyio.to_thread import run_sync
from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from dicomweb.documented import Accepting, Responses, found, problems
from dicomweb.media_types import JSON, Offer
from dicomweb.problems import problem
from storage.archive import Archive
from storage.events import Event

EVENT_STREAM = "text/event-stream"

_OFFERS = [Offer(JSON), Offer(EVENT_STREAM)]
_MAX_LIMIT, _DEFAULT_LIMIT = 1000, 100
_POLL_S, _SILENCE_S = 1.0, 15.0
_LIFE_S = 600.0
"""A stream ends after this time, and the client comes again by itself: a proxy asks anew who that is."""
_MAX_LISTENERS = 32
_CURSOR = {"description": "The `cursor` of an answer, or of an event; without it from the first event on"}
_RESPONSES: Responses = {
    200: found("The events behind the cursor, the oldest first", JSON, EVENT_STREAM),
    **problems(400, 406, 429),
}
_Since = Annotated[str | None, Query(max_length=64, **_CURSOR)]
_Limit = Annotated[int, Query(ge=1, le=_MAX_LIMIT, description="The most events in an answer")]
_LastEventId = Annotated[str | None, Header(alias="Last-Event-ID", description=_CURSOR["description"])]


def add_change_feed(router: APIRouter, archive: Archive) -> None:
    """The change feed, at `/changefeed`."""
    places = BoundedSemaphore(_MAX_LISTENERS)

    @router.get("/changefeed", summary="What happened since", responses=_RESPONSES, response_class=Response)
    def changes(
        request: Request,
        accept: Accepting,
        since: _Since = None,
        limit: _Limit = _DEFAULT_LIMIT,
        last: _LastEventId = None,
    ) -> Response:
        cursor = last or since
        media = accept.choose(_OFFERS).media
        events = archive.events(cursor, limit)
        headers = {"Cache-Control": "no-store", "Vary": "Accept"}
        if media == JSON:
            body = {
                "events": [as_json(each) for each in events],
                "cursor": events[-1].cursor if events else cursor,
                "more": len(events) == limit,
            }
            return Response(json.dumps(body), headers=headers, media_type=JSON)
        stream = _listening(request, archive, events, cursor)
        return _Limited(places, stream, headers=headers, media_type=EVENT_STREAM)


class _Limited(StreamingResponse):
    """A stream for which there is a place, or the answer that there is none."""

    def __init__(self, places: BoundedSemaphore, content: AsyncIterator[bytes], **options: Any) -> None:
        super().__init__(content, **options)
        self._places = places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._places.acquire(blocking=False):
            detail = f"{_MAX_LISTENERS} clients listen already; ask without listening, or later"
            await problem(HTTPStatus.TOO_MANY_REQUESTS, detail, {"Retry-After": "60"})(scope, receive, send)
            return
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._places.release()


def as_json(event: Event) -> dict[str, Any]:
    """An event as the feed gives it."""
    return {
        "cursor": event.cursor,
        "kind": event.kind,
        "study": event.study,
        "series": event.series,
        "instance": event.sop,
        "delivery": event.delivery,
        "protocol": event.origin.protocol,
        "at": event.at.isoformat(),
    }


async def _listening(
    request: Request, archive: Archive, events: list[Event], cursor: str | None
) -> AsyncIterator[bytes]:
    yield f"retry: {round(_POLL_S * 1000)}\n\n".encode()
    silent_since = begun = anyio.current_time()
    while anyio.current_time() < begun + _LIFE_S and not await request.is_disconnected():
        if events:
            yield b"".join(_message(each) for each in events)
            cursor, silent_since = events[-1].cursor, anyio.current_time()
        else:
            if anyio.current_time() - silent_since > _SILENCE_S:
                yield b": nothing new\n\n"  # keeps proxies from closing the connection
                silent_since = anyio.current_time()
            await anyio.sleep(_POLL_S)
        events = await run_sync(archive.events, cursor, _DEFAULT_LIMIT)


def _message(event: Event) -> bytes:
    return f"id: {event.cursor}\nevent: {event.kind}\ndata: {json.dumps(as_json(event))}\n\n".encode()
