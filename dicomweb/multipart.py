"""multipart/related (RFC 2046 5.1, RFC 2387), read piece by piece as it arrives, and written.

The reader keeps back no more content than a delimiter is long, whatever the size of a part.
"""

import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dicomweb.problems import BadRequest, PayloadTooLarge

_MAX_BOUNDARY = 200  # RFC 2046 allows 70; some senders write more
_MAX_PADDING = 256
_AFTER_DELIMITER = re.compile(rb"--|[ \t]*(\r?)\n")
_PERHAPS_AFTER_DELIMITER = re.compile(rb"-?|[ \t]*\r?")
_DELIMITER_START = re.compile(rb"[\r\n-]")
_NO_HEADERS = re.compile(rb"\r?\n")
_HEADERS = re.compile(rb"(?s)(.*?)\r?\n\r?\n")
_FOLD = re.compile(r"\r?\n[ \t]+")
_HEADER = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]*:[ \t]*(.*)")


@dataclass(frozen=True, slots=True)
class PartStart:
    """A part begins; header names are in lower case."""

    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class PartData:
    """Some bytes of the part that began last."""

    data: memoryview


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The part that began last is whole."""


Event = PartStart | PartData | PartEnd


class MultipartReader:
    """Turns body bytes, fed in any pieces, into events.

    Lenient where senders are careless: no CRLF before the first delimiter or before any other, bare LF line
    ends throughout, parts without headers, a preamble, an epilogue, blanks after a delimiter. Strict where
    bytes could be lost: a body without its closing delimiter is an error.
    """

    def __init__(self, boundary: str, *, max_parts: int = 100_000, max_header_bytes: int = 16_384) -> None:
        """Limits count parts of the body and bytes of one part's headers.

        Raises:
            BadRequest: `boundary` is none.
        """
        if not 0 < len(boundary) <= _MAX_BOUNDARY or not boundary.isascii():
            raise BadRequest(f"the multipart boundary must have 1 to {_MAX_BOUNDARY} ASCII characters")
        self._token = b"--" + boundary.encode("ascii")
        self._starts = (b"\r\n" + self._token, b"\n" + self._token, self._token)
        self._max_parts = max_parts
        self._max_header_bytes = max_header_bytes
        self._kept = b""
        self._state = "preamble"
        self._parts = 0
        self._bare = False

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events that `data` completes, to be consumed before the next call.

        Raises:
            BadRequest: this is no multipart body.
            PayloadTooLarge: it has too many parts.
        """
        data, at = self._kept + data if self._kept else data, 0
        while self._state != "epilogue":
            if self._state == "headers":
                block = self._header_block(data, at)
                if block is None:
                    break
                yield self._started(block)
                at = block.end()
                continue
            end, delimiter = self._content(data, at)
            if self._state == "content" and end > at:
                yield PartData(memoryview(data)[at:end])
            at = end
            if delimiter is None:
                break
            if self._state == "content":
                yield PartEnd()
            at = delimiter.end()
            self._begin(delimiter)
        self._kept = b"" if self._state == "epilogue" else data[at:]

    def close(self) -> None:
        """The body has ended. Raises `BadRequest` when it ended before its closing delimiter."""
        if self._state == "preamble":
            raise BadRequest("the body does not contain the multipart boundary that its Content-Type names")
        if self._state != "epilogue":
            raise BadRequest(
                f"the multipart body ends within part {self._parts}, before the closing delimiter"
            )

    def _content(self, data: bytes, at: int) -> tuple[int, re.Match[bytes] | None]:
        """Where the content from `at` on ends, and what follows the delimiter; None while none is seen."""
        start = data.find(self._token, at)
        while start >= 0:
            after = start + len(self._token)
            line = _AFTER_DELIMITER.match(data, after)
            if line or self._may_become_delimiter(data, after):
                return self._content_end(data, at, start), line
            start = data.find(self._token, start + 1)  # content that only begins like it
        return self._perhaps_begun(data, at), None

    def _perhaps_begun(self, data: bytes, at: int) -> int:
        """Where at the end of `data` a delimiter may have begun; its end when none has."""
        for perhaps in _DELIMITER_START.finditer(data, max(at, len(data) - len(self._starts[0]) + 1)):
            rest = data[perhaps.start() :]
            if any(start.startswith(rest) for start in self._starts):
                return perhaps.start()
        return len(data)

    @staticmethod
    def _may_become_delimiter(data: bytes, after: int) -> bool:
        return len(data) - after <= _MAX_PADDING and bool(_PERHAPS_AFTER_DELIMITER.fullmatch(data, after))

    def _content_end(self, data: bytes, at: int, delimiter: int) -> int:
        # The line end before a delimiter belongs to it (RFC 2046 5.1.1); a bare LF only where all are bare.
        line_end = b"\n" if self._bare else b"\r\n"
        return delimiter - len(line_end) if data.endswith(line_end, at, delimiter) else delimiter

    def _begin(self, line: re.Match[bytes]) -> None:
        if line.group() == b"--":
            self._state = "epilogue"
            return
        if self._parts == self._max_parts:
            raise PayloadTooLarge(f"the body has more than {self._max_parts} parts")
        self._parts += 1
        self._bare = not line.group(1)
        self._state = "headers"

    def _header_block(self, data: bytes, at: int) -> re.Match[bytes] | None:
        block = _NO_HEADERS.match(data, at) or _HEADERS.match(data, at, at + self._max_header_bytes)
        if block is None and len(data) - at >= self._max_header_bytes:
            raise BadRequest(f"part {self._parts} has more than {self._max_header_bytes} bytes of headers")
        return block

    def _started(self, block: re.Match[bytes]) -> PartStart:
        self._state = "content"
        return PartStart(self._parsed(block.group(1).decode("utf-8", "replace")) if block.lastindex else {})

    def _parsed(self, text: str) -> dict[str, str]:
        headers = {}
        for line in _FOLD.sub(" ", text).splitlines():
            header = _HEADER.fullmatch(line.strip())
            if header is None:
                raise BadRequest(f"part {self._parts} has a malformed header: {line[:80]!r}")
            headers[header[1].lower()] = header[2]
        return headers


Part = tuple[str, Iterable[bytes]]
"""Content-Type, and content in chunks."""


def new_boundary() -> str:
    """A boundary that no content contains."""
    return secrets.token_hex(16)


def multipart_type(media: str, boundary: str) -> str:
    """The Content-Type of a multipart/related body whose parts are of type `media`."""
    return f'multipart/related; type="{media}"; boundary={boundary}'


def with_location(content_type: str, url: str) -> str:
    """The Content-Type of a part that has a Content-Location too."""
    return f"{content_type}\r\nContent-Location: {url}"


def write_multipart(parts: Iterable[Part], boundary: str) -> Iterator[bytes]:
    """The body for `parts`, each a Content-Type and its content in chunks; one chunk is held at a time."""
    line_end = ""
    for content_type, chunks in parts:
        yield f"{line_end}--{boundary}\r\nContent-Type: {content_type}\r\n\r\n".encode()
        yield from chunks
        line_end = "\r\n"
    yield f"{line_end}--{boundary}--\r\n".encode()


def multipart_length(parts: Sequence[tuple[str, int]], boundary: str) -> int:
    """Bytes that `write_multipart` makes of parts of the given Content-Types and content lengths."""
    empty = write_multipart(((content_type, ()) for content_type, _ in parts), boundary)
    return sum(map(len, empty)) + sum(length for _, length in parts)
