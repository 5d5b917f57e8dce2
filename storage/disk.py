"""What is asked of a disk: flushes, and what its errors mean."""

import errno
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from storage.errors import StorageDown, StorageFull

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def disk_errors(what: str) -> AbstractContextManager[None]:
    """Turn an `OSError` into `StorageFull` or `StorageDown`, naming `what` was tried."""
    return _DiskErrors(what)


class _DiskErrors:
    # A class, because a generator takes three times as long and this stands around every system call.
    __slots__ = ("_what",)

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, OSError):
            kind = StorageFull if error.errno in _NO_ROOM else StorageDown
            raise kind(f"cannot {self._what}: {error.strerror or error}") from error


def flush(path: Path) -> None:
    """Put a file, or the names in a folder, on stable storage. Raises `OSError`."""
    _flush(path, os.fsync)


def flush_bytes(path: Path) -> None:
    """As `flush`, without the times of the file. Raises `OSError`."""
    _flush(path, os.fdatasync)


def _flush(path: Path, how: Callable[[int], None]) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        how(fd)
    finally:
        os.close(fd)
