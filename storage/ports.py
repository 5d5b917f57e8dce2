"""What the archive asks of a blob store."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol


@dataclass(frozen=True, slots=True)
class BlobStat:
    """What a blob store knows of one blob."""

    name: str
    size: int
    """Bytes."""
    modified: float
    """Seconds since the epoch."""


class Blobs(Protocol):
    """Immutable named byte strings. Names are `/`-separated printable ASCII without `..`.

    Every method raises `StorageDown` when the store does not answer; those that read raise
    `UnknownInstance` when there is no such blob.
    """

    local: bool
    """Names are on a disk of this machine: they are quick to ask for, and need `settle`."""

    def put_if_absent(self, name: str, source: Path, *, settled: bool = True) -> bool:
        """Make the bytes of `source` durable under `name`; False when `name` is taken (nothing happens).

        `source` is a spool file: the adapter may link it into place, so its owner must not write to it
        afterwards, and still removes its own name. Raises `StorageFull` where there is no room.

        Args:
            name: of the blob.
            source: where the bytes are.
            settled: False when the bytes of `source` are durable already, and the name need not be until
                `settle`.
        """

    def settle(self) -> None:
        """Make the names durable that `put_if_absent` was given, or found taken, with `settled=False`."""

    def open(self, name: str) -> BinaryIO:
        """A seekable reader over the blob that fetches no more than it is asked for."""

    def read_range(self, name: str, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`; fewer only at the end of the blob."""

    def stream(self, name: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The bytes in chunks of at most 1 MiB; missing blobs are reported before the first chunk."""

    def stat(self, name: str) -> BlobStat | None:
        """Size and time of the blob, None when there is none."""

    def delete(self, name: str) -> None:
        """Remove the blob; harmless when there is none."""

    def list(self, prefix: str = "") -> Iterator[BlobStat]:
        """All blobs whose name starts with `prefix`, in order of their names."""

    def health(self) -> None:
        """Raise `StorageDown`, naming the reason, when blobs cannot be written and read."""
