"""Where bytes wait between wire and archive: one folder per process, which outlives it only when needed."""

import fcntl
import hashlib
import os
import shutil
import uuid
import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Self

from storage.disk import disk_errors, flush, flush_bytes
from storage.errors import StorageFull
from storage.seal import LENGTH, is_sealed, seal

_AT_ONCE = 32
"""Empty files that are made together."""
_HELD = 64 << 10
"""Bytes of a file that is written only when all of it has come."""


class SpoolFile:
    """A file being received; nobody else sees it. As a context manager it is discarded on leaving."""

    def __init__(self, path: Path, spool: "Spool") -> None:
        """Take over `path`, which is there and empty."""
        self.path = path
        self.size = 0
        self.digest = ""
        """SHA-256 (hex) of the data set, once it is known."""
        self.sealed = False
        self.data = b""
        """All bytes of a small file, once it is sealed; empty for others."""
        # While a file is there, so is the lock that says its folder is in use.
        self._spool = spool
        self._digest: hashlib._Hash | None = None
        self._seal_at = 0
        self._held: bytearray | None = None
        self._kept = False
        with disk_errors("spool"):
            self._fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)

    def begin(self, head: bytes) -> None:
        """Take what comes before a data set (see `Spool.begin`), to write it with the first of that."""
        self._held = bytearray(head)
        self.size = len(head)
        self._seal_at = len(head) - LENGTH
        self._digest = hashlib.sha256()

    def write(self, data: bytes | memoryview) -> None:
        """Append `data`. Raises `StorageFull` or `StorageDown`."""
        self.write_all((data,))

    def write_all(self, parts: Sequence[bytes | memoryview]) -> None:
        """Append `parts` (at most 1000 of them) with as few system calls as possible. Raises as `write`."""
        length = sum(map(len, parts))
        self.size += length
        if self._digest:
            for part in parts:
                self._digest.update(part)
        if self._held is not None:
            if self.size <= _HELD:
                for part in parts:
                    self._held += part
                return
            parts, self._held = (memoryview(self._held), *parts), None
        self._write(parts)

    def _write(self, parts: Sequence[bytes | memoryview]) -> None:
        with disk_errors("spool"):
            done = os.writev(self._fd, parts)
            if done < sum(map(len, parts)):
                self._write_rest(memoryview(b"".join(parts))[done:])

    def _write_rest(self, rest: memoryview) -> None:
        # A disk that fills up takes a part first and refuses the next write.
        while rest:
            rest = rest[os.write(self._fd, rest) :]

    def seal(self) -> None:
        """Say in a file that was begun that all of it is there. Raises as `write`."""
        if self._digest is None:
            return
        mark = seal(self.size, self._digest.digest())
        self.digest = self._digest.hexdigest()
        self.sealed = True
        if self._held is None:
            with disk_errors("spool"):
                os.pwrite(self._fd, mark, self._seal_at)
            return
        self._held[self._seal_at : self._seal_at + LENGTH] = mark
        self.data, self._held = bytes(self._held), None
        self._write((self.data,))

    def flush(self) -> None:
        """Put the bytes on stable storage. Raises as `write`."""
        with disk_errors("flush the spool"):
            if self._fd >= 0:
                os.fdatasync(self._fd)
            else:
                flush_bytes(self.path)

    def close(self) -> None:
        """Stop writing; harmless when done before."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            with disk_errors("spool"):
                os.close(fd)

    def keep(self) -> None:
        """Leave the file where it is, whatever happens, until `drop`: it is all there is of an instance."""
        self._kept = True
        self._spool.kept.add(self.path)

    def drop(self) -> None:
        """Remove a file that was kept."""
        self.path.unlink(missing_ok=True)
        self._spool.kept.discard(self.path)

    def discard(self) -> None:
        """Close the file, and remove it if it is not kept; harmless when done before, and when moved away."""
        self.close()
        if not self._kept:
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

    The folder is held by a lock that dies with the process. Folders without a holder are removed on start,
    save for sealed files: those may be all that is left of an instance (see `storage.recover`).
    Put `directory` on the file system of the blobs, and storing a file is a link instead of a copy.
    """

    def __init__(self, directory: Path, *, reserve: int = 0) -> None:
        """Make the folder of this process.

        Args:
            directory: of all processes of this machine.
            reserve: bytes that are left free on its disk: with less, nothing more is taken in.
        """
        self._reserve = reserve
        with disk_errors(f"open the spool {directory}"):
            directory.mkdir(parents=True, exist_ok=True)
            self._directory = directory
            with _locked(directory / ".lock"):
                _remove_leftovers(directory)
                self.folder = directory / f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
                self.folder.mkdir()
                self._holder = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                fcntl.flock(self._holder, fcntl.LOCK_EX)
            flush(directory)
            flush(directory.parent)
        self._release = weakref.finalize(self, os.close, self._holder)
        self._empty: deque[Path] = deque()
        self._numbers = count()
        self.kept: set[Path] = set()
        """Files that stay until they are dropped."""

    def shortage(self) -> str:
        """Why nothing more is taken in; empty while there is room."""
        try:
            disk = os.statvfs(self.folder)
        except OSError:
            return ""  # what is wrong is said by what fails to make a file
        free = disk.f_bavail * disk.f_frsize
        if free >= self._reserve:
            return ""
        return f"{free >> 20} MB are free on the spool's disk, {self._reserve >> 20} MB are to be left"

    def new(self) -> SpoolFile:
        """An empty file. Raises `StorageFull` or `StorageDown`."""
        self._check_room()
        path = self._new_path()
        with disk_errors("spool"):
            _create(path)
        return SpoolFile(path, self)

    def begin(self, head: bytes) -> SpoolFile:
        """A file that can be sealed, whose name is on stable storage. Raises as `new`.

        Args:
            head: what comes before the data set; it ends with `storage.seal.ROOM`.
        """
        self._check_room()
        file = SpoolFile(self._named(), self)
        try:
            file.begin(head)
        except BaseException:
            file.discard()
            raise
        return file

    def _check_room(self) -> None:
        if shortage := self.shortage():
            raise StorageFull(shortage)

    def _named(self) -> Path:
        while True:
            try:
                return self._empty.popleft()
            except IndexError:
                self._make_some()

    def _new_path(self) -> Path:
        return self.folder / f"{next(self._numbers):08x}"

    def _make_some(self) -> None:
        # Several at a time: a name is safe only when its folder is flushed, for which we wait.
        made = [self._new_path() for _ in range(_AT_ONCE)]
        with disk_errors("spool"):
            for path in made:
                _create(path)
            flush(self.folder)
        self._empty.extend(made)

    def adopt(self, path: Path) -> SpoolFile:
        """A file like one of ours with the bytes of `path`, which stays. Raises as `new`."""
        mine = self._new_path()
        with disk_errors("spool"):
            os.link(path, mine)
            file = SpoolFile(mine, self)
            file.close()
            file.size = mine.stat().st_size
        return file

    def abandoned(self) -> Iterator[list[Path]]:
        """The sealed files of each dead process, oldest first; they are removed when the next is asked for.

        No other process opens this spool meanwhile. Raises `StorageDown`.
        """
        with disk_errors("read the spool"), _locked(self._directory / ".lock"):
            for folder in _without_holder(self._directory):
                yield sorted(_sealed(folder), key=lambda path: path.stat().st_mtime_ns)
                shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Remove the folder with all that is left in it and is not kept; harmless when done before."""
        if self._release.alive:
            if not self.kept:
                shutil.rmtree(self.folder, ignore_errors=True)
            self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _create(path: Path) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640))


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
    for folder in _without_holder(directory):
        if not _sealed(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _without_holder(directory: Path) -> list[Path]:
    return [folder for folder in directory.iterdir() if folder.is_dir() and not _is_held(folder)]


def _sealed(folder: Path) -> list[Path]:
    with suppress(FileNotFoundError):  # its owner has just closed it
        return [path for path in folder.iterdir() if path.name != ".lock" and is_sealed(path)]
    return []


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
