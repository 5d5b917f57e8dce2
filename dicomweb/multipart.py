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

    data: bytes


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The part that began last is whole."""


Event = PartStart | PartData | PartEnd


@dataclass(frozen=True, slots=True)
class _Delimiter:
    start: int
    end: int
    closing: bool
    bare: bool


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
        self._max_parts = max_parts
        self._max_header_bytes = max_header_bytes
        self._buffer = bytearray()
        self._searched = 0
        self._state = "preamble"
        self._parts = 0
        self._bare = False

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events that `data` completes, to be consumed before the next call.

        Raises:
            BadRequest: this is no multipart body.
            PayloadTooLarge: it has too many parts.
        """
        self._buffer += data
        while self._state != "epilogue":
            if self._state == "headers":
                start = self._take_headers()
                if start is None:
                    return
                yield start
            else:
                found = self._find_delimiter()
                yield from self._take_content(found)
                if found is None:
                    return
        self._buffer.clear()

    def close(self) -> None:
        """The body has ended. Raises `BadRequest` when it ended before its closing delimiter."""
        if self._state == "preamble":
            raise BadRequest("the body does not contain the multipart boundary that its Content-Type names")
        if self._state != "epilogue":
            raise BadRequest(
                f"the multipart body ends within part {self._parts}, before the closing delimiter"
            )

    def _find_delimiter(self) -> _Delimiter | None:
        start = self._buffer.find(self._token, self._searched)
        while start >= 0:
            after = start + len(self._token)
            line = _AFTER_DELIMITER.match(self._buffer, after)
            if line:
                closing = line.group() == b"--"
                return _Delimiter(start, line.end(), closing, not closing and not line.group(1))
            if self._may_become_delimiter(after):
                self._searched = start
                return None
            start = self._buffer.find(self._token, start + 1)  # content that only begins like it
        self._searched = max(len(self._buffer) - len(self._token) + 1, 0)
        return None

    def _may_become_delimiter(self, after: int) -> bool:
        return len(self._buffer) - after <= _MAX_PADDING and bool(
            _PERHAPS_AFTER_DELIMITER.fullmatch(self._buffer, after)
        )

    def _take_content(self, delimiter: _Delimiter | None) -> Iterator[Event]:
        """Take from the buffer the content before `delimiter`, or before what may become one."""
        end = self._content_end(delimiter.start) if delimiter else max(self._searched - 2, 0)
        if self._state == "content" and end:
            with memoryview(self._buffer) as view:
                data = bytes(view[:end])
            yield PartData(data)
        if delimiter is None:
            del self._buffer[:end]
            self._searched -= end
            return
        if self._state == "content":
            yield PartEnd()
        del self._buffer[: delimiter.end]
        self._begin(delimiter)

    def _content_end(self, delimiter: int) -> int:
        # The line end before a delimiter belongs to it (RFC 2046 5.1.1); a bare LF only where all are bare.
        line_end = b"\n" if self._bare else b"\r\n"
        return delimiter - len(line_end) if self._buffer.endswith(line_end, 0, delimiter) else delimiter

    def _begin(self, delimiter: _Delimiter) -> None:
        self._searched = 0
        if delimiter.closing:
            self._state = "epilogue"
            return
        if self._parts == self._max_parts:
            raise PayloadTooLarge(f"the body has more than {self._max_parts} parts")
        self._parts += 1
        self._bare = delimiter.bare
        self._state = "headers"

    def _take_headers(self) -> PartStart | None:
        block = _NO_HEADERS.match(self._buffer) or _HEADERS.match(self._buffer, 0, self._max_header_bytes)
        if block is None:
            if len(self._buffer) >= self._max_header_bytes:
                raise BadRequest(
                    f"part {self._parts} has more than {self._max_header_bytes} bytes of headers"
                )
            return None
        text = block.group(1).decode("utf-8", "replace") if block.re is _HEADERS else ""
        end = block.end()
        del self._buffer[:end]
        self._state = "content"
        return PartStart(self._parsed(text))

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
