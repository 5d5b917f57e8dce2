"""A blob read in chunks; what it reads from is closed at its end, when told, and when forgotten."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol, Self

CHUNK = 1 << 20


class _Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Chunks(Iterator[bytes]):
    """`length` bytes of `source` (None: all) in chunks of at most 1 MiB.

    A generator would not do: one that is never started runs no `finally` and leaks its file or connection.
    """

    def __init__(
        self,
        source: _Source,
        length: int | None,
        close: Callable[[], None],
        errors: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._source = source
        self._left = length
        self._close = close
        self._errors = errors
        self._open = True

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        size = CHUNK if self._left is None else min(CHUNK, self._left)
        chunk = self._read(size) if self._open and size else b""
        if not chunk:
            self.close()
            raise StopIteration
        if self._left is not None:
            self._left -= len(chunk)
        return chunk

    def _read(self, size: int) -> bytes:
        try:
            with self._errors():
                return self._source.read(size)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._open:
            self._open = False
            self._close()

    def __del__(self) -> None:
        self.close()
