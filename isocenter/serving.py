"""The HTTP server: a socket that listens, and a stop that finishes what was begun and has an end."""

import socket
from collections.abc import Callable

import anyio
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

EVENT_STREAM = b"text/event-stream"


class EventStreams:
    """An ASGI application that ends the event streams of another when it is told to.

    They have no end of their own, and a server that stops waits for what is under way.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._under_way: set[anyio.CancelScope] = set()

    def end(self) -> None:
        """End those under way as if they were complete: whoever listens comes again by himself."""
        for each in self._under_way:
            each.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _asks_for_events(scope):
            await self._app(scope, receive, send)
            return
        is_open = False

        async def noted(message: Message) -> None:
            nonlocal is_open
            is_open = message["type"] == "http.response.start" or message.get("more_body", False)
            await send(message)

        with anyio.CancelScope() as under_way:
            self._under_way.add(under_way)
            try:
                await self._app(scope, receive, noted)
            finally:
                self._under_way.remove(under_way)
        if under_way.cancelled_caught and is_open:
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def _asks_for_events(scope: Scope) -> bool:
    return any(name == b"accept" and EVENT_STREAM in value for name, value in scope["headers"])


class Server(uvicorn.Server):
    """Serves an application; requests under way are finished when it stops, event streams are ended."""

    def __init__(self, app: ASGIApp, on_ready: Callable[[], None], on_stop: Callable[[], None]) -> None:
        self._streams = EventStreams(app)
        self._on_ready = on_ready
        self._on_stop = on_stop
        super().__init__(
            uvicorn.Config(
                self._streams,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=10,
                h11_max_incomplete_event_size=65536,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more requests, and finish those under way."""
        self._on_stop()
        self._streams.end()
        await super().shutdown(sockets)


def run_http(
    app: ASGIApp, listening: socket.socket, on_ready: Callable[[], None], on_stop: Callable[[], None]
) -> None:
    """Serve until SIGTERM or SIGINT, which `on_stop` is told; requests under way are finished."""
    Server(app, on_ready, on_stop).run(sockets=[listening])
