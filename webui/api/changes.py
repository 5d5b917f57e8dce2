"""Pages are told that something has changed, in place of asking (HTML Living Standard 9.2)."""

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, HTTPException
from fastapi.responses import StreamingResponse

from webui.api.documented import problems
from webui.live import Live

EVENT_STREAM = "text/event-stream"
_SILENCE_S = 15.0
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events `change`; their data lists what has changed: `studies`, `work`, `reviews`, "
        "`models`, `refusals`, `parts`, `routes`",
        "content": {EVENT_STREAM: {"schema": {"type": "string"}}},
    },
    **problems(429),
}


def changes_router(live: Live) -> APIRouter:
    """`/changes`."""
    router = APIRouter(tags=["worklist"])

    @router.get(
        "/changes",
        summary="Listen for changes, without what they are",
        response_class=StreamingResponse,
        responses=_RESPONSES,
    )
    async def changes() -> StreamingResponse:
        if live.is_full:
            raise HTTPException(429, "too many listen already", {"Retry-After": "60"})
        # Proxies that collect answers before they pass them on are asked not to.
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(_messages(live), headers=headers, media_type=EVENT_STREAM)

    return router


async def _messages(live: Live) -> AsyncIterator[bytes]:
    yield b"retry: 2000\n\n"
    async with aclosing(live.listen(_SILENCE_S)) as news:
        async for kinds in news:
            # A word in silence keeps proxies from closing the connection.
            yield _change(kinds) if kinds else b": nothing new\n\n"


def _change(kinds: frozenset[str]) -> bytes:
    return f"event: change\ndata: {json.dumps(sorted(kinds))}\n\n".encode()
