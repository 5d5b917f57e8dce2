"""HTTP answers over stored bytes: whole, in ranges (RFC 9110 14), streamed."""

import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import NamedTuple

from fastapi import Request
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from dicomweb.conditional import PRIVATE, Validators
from dicomweb.problems import RangeNotSatisfiable

_RANGE = re.compile(r"\s*bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.IGNORECASE | re.ASCII)
_AT_ONCE = 1 << 20
_AHEAD = 4 << 20
"""Bytes that are made in one visit to a thread, which costs as much as reading a tenth of them."""


class Piece(NamedTuple):
    """A byte range of a resource."""

    offset: int
    length: int


def wanted_range(request: Request, size: int, validators: Validators) -> Piece | None:
    """The byte range asked for; None for the whole: no range, several, a malformed or an outdated one.

    Raises:
        RangeNotSatisfiable: the range lies outside `size` bytes.
    """
    found = _RANGE.fullmatch(request.headers.get("range", ""))
    if found is None or not validators.allow_range(request):
        return None
    first, last = found.groups()
    if not first and not last:
        return None
    if not first:
        piece = Piece(max(size - int(last), 0), min(int(last), size))
    else:
        end = min(int(last), size - 1) if last else size - 1
        if last and int(last) < int(first):
            return None
        piece = Piece(int(first), end - int(first) + 1)
    if piece.length < 1:
        raise RangeNotSatisfiable(f"the range lies outside the {size} bytes", size)
    return piece


def content_range(piece: Piece, size: int) -> str:
    """The Content-Range of `piece` of `size` bytes."""
    return f"bytes {piece.offset}-{piece.offset + piece.length - 1}/{size}"


def content(
    request: Request,
    media_type: str,
    size: int,
    validators: Validators,
    read: Callable[[int, int], Iterable[bytes]],
    *,
    headers: dict[str, str] | None = None,
) -> Response:
    """`size` bytes, or the range of them that is asked for.

    Args:
        request: with its Range, If-Range, If-None-Match and If-Modified-Since.
        media_type: Content-Type of the answer.
        size: bytes of the whole.
        validators: of the whole.
        read: gives the bytes from an offset on, of a length.
        headers: further headers of the answer.
    """
    if validators.held_by(request):
        return validators.not_modified()
    piece = wanted_range(request, size, validators)
    offset, length = piece or (0, size)
    sent = {
        **validators.headers,
        "Accept-Ranges": "bytes",
        "Content-Length": str(length),
        **PRIVATE,
        **(headers or {}),
    }
    if piece:
        sent["Content-Range"] = content_range(piece, size)
    status = 206 if piece else 200
    return streamed(request, read(offset, length), media_type, sent, status)


def streamed(
    request: Request,
    chunks: Iterable[bytes],
    media_type: str,
    headers: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    """`chunks` as the body, sent while they are made; in one piece where they are few.

    What fails before the first MiB is made fails before anything is sent.
    """
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=media_type)
    iterator = iter(chunks)
    start = list(_first(iterator, _AT_ONCE))
    if sum(map(len, start)) < _AT_ONCE:
        return Response(b"".join(start), status, headers, media_type)
    return StreamingResponse(_made_ahead(start, iterator), status, headers, media_type)


async def _made_ahead(start: list[bytes], chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    while start:
        while start:
            yield start.pop(0)  # what was sent need not wait for what is made next
        start = await run_in_threadpool(lambda: list(_first(chunks, _AHEAD)))


def _first(chunks: Iterator[bytes], size: int) -> Iterator[bytes]:
    made = 0
    for chunk in chunks:
        yield chunk
        made += len(chunk)
        if made >= size:
            return
