"""Compressed answers (RFC 9110 8.4, 12.5.3) for what is text: metadata and search results, never pixels."""

import threading
import zlib
from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

import zstandard
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dicomweb.media_types import DICOM_JSON, DICOM_XML, JSON, split, weight

MIN_BYTES = 1024
"""A body that is shorter fits into one packet as it is."""
_TYPES = (DICOM_JSON, DICOM_XML, JSON, f'multipart/related; type="{DICOM_XML}"')
_GZIP = zlib.MAX_WBITS | 16
_IN_LOOP = 64 << 10
"""Bytes that are compressed at once without giving way to other requests."""


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


_LEVEL = 1
"""The lowest makes a tenth of metadata already, and who waits for more waits for the server."""
_CODINGS: dict[str, Callable[[], _Compressor]] = {
    "zstd": lambda: zstandard.ZstdCompressor(level=_LEVEL).compressobj(),
    "gzip": lambda: zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP),
}


@lru_cache(maxsize=256)
def content_coding(accept_encoding: str) -> str | None:
    """The coding that an Accept-Encoding likes best, None for none; between equals zstd."""
    liked: dict[str, float] = {}
    for entry in split(accept_encoding[:MIN_BYTES], ","):
        name, *parameters = (part.strip().lower() for part in entry.split(";"))
        weights = (part[2:] for part in parameters if part.startswith("q="))
        liked[name.removeprefix("x-")] = weight(next(weights, "1"))
    best = max(_CODINGS, key=lambda name: liked.get(name, liked.get("*", 0)))
    wanted = liked.get(best, liked.get("*", 0))
    return best if wanted > 0 and wanted >= liked.get("identity", 0) else None


def compressed(data: bytes, coding: str) -> bytes:
    """All of `data` in a coding that `content_coding` has chosen."""
    if coding == "zstd":
        # Making a context costs more than compressing a page of results with it; threads must not share one.
        if not hasattr(_local, "zstd"):
            _local.zstd = zstandard.ZstdCompressor(level=_LEVEL)
        whole: bytes = _local.zstd.compress(data)
        return whole
    compressor = _CODINGS[coding]()
    return compressor.compress(data) + compressor.flush()


_local = threading.local()


class Compression:
    """ASGI middleware that compresses text as it passes, chunk by chunk."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        coding = content_coding(Headers(scope=scope).get("accept-encoding", ""))
        if scope["method"] == "HEAD":
            coding = None
        await self._app(scope, receive, _Sender(send, coding))


class _Sender:
    """Sends one answer; its start is kept back until its first bytes tell whether it is worth it."""

    def __init__(self, send: Send, coding: str | None) -> None:
        self._send = send
        self._coding = coding
        self._start: Message | None = None
        self._compressor: _Compressor | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_text(message):
            self._start = message
            MutableHeaders(scope=message).add_vary_header("Accept-Encoding")
        elif message["type"] == "http.response.body" and self._start is not None:
            await self._first(self._start, message)
        elif message["type"] == "http.response.body" and self._compressor is not None:
            await self._send(await self._compressed(self._compressor, message))
        else:
            await self._send(message)

    async def _first(self, start: Message, message: Message) -> None:
        self._start = None
        more = message.get("more_body", False)
        if self._coding is None or (not more and len(message.get("body", b"")) < MIN_BYTES):
            await self._send(start)
            await self._send(message)
            return
        if more:
            self._compressor = _CODINGS[self._coding]()
            first = await self._compressed(self._compressor, message)
        else:
            first = {**message, "body": await _whole(message["body"], self._coding)}
        headers = MutableHeaders(scope=start)
        headers["Content-Encoding"] = self._coding
        del headers["Content-Length"]
        if not more:
            headers["Content-Length"] = str(len(first["body"]))
        if (etag := headers.get("ETag")) and not etag.startswith("W/"):
            headers["ETag"] = f"W/{etag}"  # the same metadata in other bytes (RFC 9110 8.8.1)
        await self._send(start)
        await self._send(first)

    @staticmethod
    async def _compressed(compressor: _Compressor, message: Message) -> Message:
        body: bytes = message.get("body", b"")
        more: bool = message.get("more_body", False)

        def compress() -> bytes:
            return compressor.compress(body) + (b"" if more else compressor.flush())

        data = compress() if len(body) < _IN_LOOP else await run_in_threadpool(compress)
        return {**message, "body": data}


async def _whole(body: bytes, coding: str) -> bytes:
    return (
        compressed(body, coding)
        if len(body) < _IN_LOOP
        else await run_in_threadpool(compressed, body, coding)
    )


def _is_text(start: Message) -> bool:
    headers = Headers(scope=start)
    if "content-encoding" in headers:
        return False
    return start["status"] == 200 and headers.get("content-type", "").startswith(_TYPES)  # noqa: PLR2004 - OK
