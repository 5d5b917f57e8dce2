"""Routes that change something take small JSON bodies only."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute
from starlette.types import Message

MOST_BYTES = 256 * 1024
_SAFE = frozenset({"GET", "HEAD"})


class JsonRoute(APIRoute):
    """A route that takes `application/json` alone, and not much of it.

    A page elsewhere can make a browser send forms and plain text here with the user's login; other content
    types it may not send (Fetch standard, CORS-safelisted request-header).
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, behind the checks."""
        handler = super().get_route_handler()

        async def checked(request: Request) -> Response:
            if request.method in _SAFE:
                return await handler(request)
            if request.method != "DELETE" or _has_body(request):
                # Before a DELETE browsers ask whether a page elsewhere may (Fetch standard, CORS preflight).
                _check_content_type(request)
            return await handler(Request(request.scope, _limited(request)))

        return checked


def _has_body(request: Request) -> bool:
    return "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"


def _check_content_type(request: Request) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise HTTPException(415, "the content type of this request must be application/json")


def _limited(request: Request) -> Callable[[], Coroutine[Any, Any, Message]]:
    seen = 0

    async def receive() -> Message:
        nonlocal seen
        message = await request.receive()
        seen += len(message.get("body", b""))
        if seen > MOST_BYTES:
            raise HTTPException(413, f"the body has more than {MOST_BYTES} bytes")
        return message

    return receive
