"""Blobs as files below one folder: what a bucket browser would show, a file manager shows."""

import errno
import os
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from io import FileIO
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO

from storage.blobs.chunks import Chunks
from storage.blobs.names import checked_name, is_name
from storage.disk import disk_errors, flush, flush_bytes
from storage.errors import StorageDown, UnknownInstance
from storage.ports import BlobStat

# Hidden, hence no blob (see names.py).
_INCOMING = ".incoming"
_COPY = 1 << 20
_ATTEMPTS = 32
_PATHS = 64


class DiskBlobs:
    """Blobs below `root`, which is made when it is missing."""

    local = True

    def __init__(self, root: Path) -> None:
        self._root = root
        # A name is looked for, and then put: two in a row.
        self._path = lru_cache(_PATHS)(self._path_of)
        self._unsettled: set[Path] = set()
        self._settling = threading.Lock()
        with disk_errors(f"open {root}"):
            (root / _INCOMING).mkdir(parents=True, exist_ok=True)

    def put_if_absent(self, name: str, source: Path, *, settled: bool = True) -> bool:
        target = self._path(name)
        settle = flush if settled else self._settle_later
        with disk_errors(f"store {name}"):
            if settled:
                flush_bytes(source)
            try:
                return self._link(source, target, settle)
            except OSError as error:
                if not _needs_copy(error):
                    raise
                return self._copy(source, target, settle)

    def _link(self, source: Path, target: Path, settle: Callable[[Path], None]) -> bool:
        """Give `source` the name `target`; False when that is taken.

        `os.link` never replaces, unlike a rename: of two writers exactly one wins. `settle` is told of each
        folder that has a new name in it.
        """
        for _ in range(_ATTEMPTS):
            try:
                os.link(source, target)
            except FileExistsError:
                # Whoever linked it may not have come to this step yet, and who asks may rely on the name.
                settle(target.parent)
                return False
            except FileNotFoundError:
                # No folder yet, or `delete` has just removed it as empty.
                source.stat()
                # `mkdir` says that a folder exists, too, when it was there and is removed before it can look.
                with suppress(FileNotFoundError, FileExistsError):
                    _make_folder(target.parent, settle)
            else:
                settle(target.parent)
                return True
        raise StorageDown(f"the folder of {target} keeps vanishing")

    def _copy(self, source: Path, target: Path, settle: Callable[[Path], None]) -> bool:
        incoming = self._root / _INCOMING / uuid.uuid4().hex
        try:
            with source.open("rb") as reader, incoming.open("xb") as writer:
                while block := reader.read(_COPY):
                    writer.write(block)
                writer.flush()
                os.fsync(writer.fileno())
            return self._link(incoming, target, settle)
        finally:
            incoming.unlink(missing_ok=True)

    def _settle_later(self, folder: Path) -> None:
        self._unsettled.add(folder)

    def settle(self) -> None:
        with self._settling, disk_errors("flush folders"):
            for folder in list(self._unsettled):
                # Before it is flushed: a name that comes meanwhile puts it back.
                self._unsettled.discard(folder)
                self._flush_settled(folder)

    def _flush_settled(self, folder: Path) -> None:
        try:
            flush(folder)
        except FileNotFoundError:
            pass  # removed as empty: there is no name left to settle
        except OSError:
            self._unsettled.add(folder)
            raise

    def open(self, name: str) -> BinaryIO:
        with _reading(name):
            return self._path(name).open("rb")

    def read_range(self, name: str, offset: int, length: int) -> bytes:
        with _reading(name), self._unbuffered(name) as file:
            data = b""
            # The system gives no more than 2 GB at once.
            while (left := length - len(data)) and (
                more := os.pread(file.fileno(), left, offset + len(data))
            ):
                data += more
            return data

    def stream(self, name: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        with _reading(name):
            file = self._unbuffered(name)
        file.seek(offset)
        return Chunks(file, length, file.close, lambda: _reading(name))

    def _unbuffered(self, name: str) -> FileIO:
        return FileIO(self._path(name))

    def stat(self, name: str) -> BlobStat | None:
        path = self._path(name)
        with disk_errors(f"look for {name}"):
            try:
                found = path.stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
        return BlobStat(name, found.st_size, found.st_mtime) if S_ISREG(found.st_mode) else None

    def delete(self, name: str) -> None:
        path = self._path(name)
        with disk_errors(f"delete {name}"), suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()
            flush(path.parent)
        self._remove_empty(path.parent)

    def _remove_empty(self, folder: Path) -> None:
        with suppress(OSError):
            while folder != self._root:
                folder.rmdir()
                folder = folder.parent

    def list(self, prefix: str = "") -> Iterator[BlobStat]:
        with disk_errors("list blobs"):
            yield from _walk(self._root, "", prefix)

    def health(self) -> None:
        name = f"health/{uuid.uuid4().hex}"
        with (
            disk_errors(f"use {self._root}"),
            tempfile.NamedTemporaryFile(dir=self._root / _INCOMING) as probe,
        ):
            probe.write(b"health")
            probe.flush()
            try:
                if not self.put_if_absent(name, Path(probe.name)) or self.read_range(name, 0, 9) != b"health":
                    raise StorageDown(f"{self._root} does not give back what was written")
            finally:
                self.delete(name)

    def _path_of(self, name: str) -> Path:
        return self._root / checked_name(name)


def _needs_copy(error: OSError) -> bool:
    """Another file system, or one on which this file may not get a second name."""
    return error.errno in {errno.EXDEV, errno.EPERM, errno.EMLINK}


@contextmanager
def _reading(name: str) -> Iterator[None]:
    try:
        with disk_errors(f"read {name}"):
            yield
    except StorageDown as error:
        if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError | IsADirectoryError):
            raise UnknownInstance(f"no blob {name}") from None
        raise


def _make_folder(folder: Path, settle: Callable[[Path], None]) -> None:
    if not folder.is_dir():
        _make_folder(folder.parent, settle)
        folder.mkdir(exist_ok=True)
        settle(folder.parent)


def _walk(folder: Path, at: str, prefix: str) -> Iterator[BlobStat]:
    """The files below `folder`, whose names start with `at`, in the order of their full names."""
    try:
        with os.scandir(folder) as entries:
            found = [(entry.name + "/" * entry.is_dir(), entry) for entry in entries]
    except FileNotFoundError:
        return
    for part, entry in sorted(found, key=lambda pair: pair[0]):
        name = at + part
        if part.endswith("/"):
            if is_name(name[:-1]) and (name.startswith(prefix) or prefix.startswith(name)):
                yield from _walk(folder / entry.name, name, prefix)
        elif name.startswith(prefix) and is_name(name):
            with suppress(FileNotFoundError):
                found_stat = entry.stat()
                yield BlobStat(name, found_stat.st_size, found_stat.st_mtime)
