"""Twins of the stores that keep all in memory: for tests and for trying things out."""

import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from storage.blobs.chunks import CHUNK
from storage.blobs.names import checked_name
from storage.disk import disk_errors
from storage.errors import UnknownInstance
from storage.ports import BlobStat


class MemoryBlobs:
    """Blobs in a dictionary; gone with the process."""

    local = False

    def __init__(self) -> None:
        self._blobs: dict[str, tuple[bytes, float]] = {}
        self._lock = threading.Lock()

    def put_if_absent(self, name: str, source: Path, *, settled: bool = True) -> bool:  # noqa: ARG002 - the port's
        checked_name(name)
        with disk_errors(f"store {name}"):
            data = source.read_bytes()
        with self._lock:
            mine = (data, time.time())
            return self._blobs.setdefault(name, mine) is mine

    def settle(self) -> None:
        """Memory has nothing to settle."""

    def open(self, name: str) -> BinaryIO:
        return io.BytesIO(self._get(name))

    def read_range(self, name: str, offset: int, length: int) -> bytes:
        return self._get(name)[offset : offset + length]

    def stream(self, name: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        data = self._get(name)
        end = len(data) if length is None else min(offset + length, len(data))
        return (data[at : min(at + CHUNK, end)] for at in range(offset, end, CHUNK))

    def stat(self, name: str) -> BlobStat | None:
        found = self._blobs.get(checked_name(name))
        return found and BlobStat(name, len(found[0]), found[1])

    def delete(self, name: str) -> None:
        self._blobs.pop(checked_name(name), None)

    def list(self, prefix: str = "") -> Iterator[BlobStat]:
        with self._lock:
            found = sorted(self._blobs.items())
        return (
            BlobStat(name, len(data), modified) for name, (data, modified) in found if name.startswith(prefix)
        )

    def health(self) -> None:
        """Memory is always there."""

    def _get(self, name: str) -> bytes:
        try:
            return self._blobs[checked_name(name)][0]
        except KeyError:
            raise UnknownInstance(f"no blob {name}") from None
