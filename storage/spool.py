"""Where bytes wait between wire and archive: one folder per process, removed when its owner is dead."""

import errno
import fcntl
import os
import shutil
import uuid
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from storage.errors import StorageDown, StorageFull

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Turn an `OSError` into `StorageFull` or `StorageDown`, naming `what` was tried."""
    try:
        yield
    except OSError as error:
        kind = StorageFull if error.errno in NO_ROOM else StorageDown
        raise kind(f"cannot {what}: {error.strerror or error}") from error


class SpoolFile:
    """A file being received; nobody else sees it. As a context manager it is discarded on leaving."""

    def __init__(self, path: Path, spool: "Spool") -> None:
        self.path = path
        self.size = 0
        # While a file is there, so is the lock that says its folder is in use.
        self._spool = spool
        with disk_errors("spool"):
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)

    def write(self, data: bytes | memoryview) -> None:
        """Append `data`. Raises `StorageFull` or `StorageDown`."""
        self.write_all((data,))

    def write_all(self, parts: Sequence[bytes | memoryview]) -> None:
        """Append `parts` (at most 1024 of them) with as few system calls as possible. Raises as `write`."""
        length = sum(map(len, parts))
        with disk_errors("spool"):
            done = os.writev(self._fd, parts)
            if done < length:
                self._write_rest(memoryview(b"".join(parts))[done:])
        self.size += length

    def _write_rest(self, rest: memoryview) -> None:
        # A disk that fills up takes a part first and refuses the next write.
        while rest:
            rest = rest[os.write(self._fd, rest) :]

    def close(self) -> None:
        """Stop writing; harmless when done before."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            with disk_errors("spool"):
                os.close(fd)

    def discard(self) -> None:
        """Close and remove the file; harmless when done before, and when the file has been moved away."""
        self.close()
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()

    def __del__(self) -> None:
        if getattr(self, "_fd", -1) >= 0:
            os.close(self._fd)


class Spool:
    """Makes spool files in a folder of this process below `directory`.

    The folder is held by a lock that dies with the process; folders without a holder are removed on start.
    Put `directory` on the file system of the blobs, and storing a file is a link instead of a copy.
    """

    def __init__(self, directory: Path) -> None:
        with disk_errors(f"open the spool {directory}"):
            directory.mkdir(parents=True, exist_ok=True)
            with _locked(directory / ".lock"):
                _remove_leftovers(directory)
                self.folder = directory / f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
                self.folder.mkdir()
                self._holder = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                fcntl.flock(self._holder, fcntl.LOCK_EX)
        self._release = weakref.finalize(self, os.close, self._holder)

    def new(self) -> SpoolFile:
        """An empty file. Raises `StorageFull` or `StorageDown`."""
        return SpoolFile(self.folder / uuid.uuid4().hex, self)

    def close(self) -> None:
        """Remove the folder with all that is left in it; harmless when done before."""
        if self._release.alive:
            shutil.rmtree(self.folder, ignore_errors=True)
            self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    # Without it, a process that starts could remove the folder another has made but not locked yet.
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _remove_leftovers(directory: Path) -> None:
    for folder in directory.iterdir():
        if folder.is_dir() and not _is_held(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _is_held(folder: Path) -> bool:
    with suppress(FileNotFoundError):
        fd = os.open(folder / ".lock", os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
    return False
