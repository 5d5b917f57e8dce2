"""Spool files of acknowledged instances, kept until folders and index are safe without them.

An instance is acknowledged when its sealed spool file is flushed: one wait for the disk. The name of its
blob and its rows are there as well, yet perhaps only in memory; should the power fail now, they are made
again from the spool (`storage.recover`). Soon afterwards all of them are flushed together, and the files go.
"""

import logging
import threading
from collections.abc import Callable

from storage.errors import StorageError
from storage.spool import SpoolFile

_log = logging.getLogger(__name__)

_SETTLED_EVERY = 1.0
"""Seconds: how much may have to be made again."""
_MOST = 2000
"""Files after which nobody waits for the seconds to pass."""


class Journal:
    """Keeps files, and drops them once what they stand for is safe; may be used from many threads."""

    def __init__(self, settle: Callable[[], None]) -> None:
        """Start nothing; `settle` may raise a `StorageError`, and is then called again later."""
        self._make_safe = settle
        self._files: list[SpoolFile] = []
        self._lock = threading.Lock()
        self._settling = threading.Lock()
        self._full = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    def keep(self, file: SpoolFile) -> None:
        """The instance of this sealed, flushed file is in place."""
        file.keep()
        with self._lock:
            self._files.append(file)
            if len(self._files) >= _MOST:
                self._full.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
                self._thread.start()

    def settle(self) -> None:
        """Make safe what is kept now. Raises what the function raises that does it."""
        with self._settling:
            with self._lock:
                files, self._files = self._files, []
            try:
                if files:
                    self._make_safe()
            except StorageError:
                with self._lock:
                    self._files = files + self._files
                raise
            for file in files:
                file.drop()

    def close(self) -> None:
        """Settle, and keep nothing any more; harmless when done before."""
        self._closed = True
        self._full.set()
        if self._thread:
            self._thread.join()
        self._try_to_settle()

    def _run(self) -> None:
        while not self._closed:
            self._full.wait(_SETTLED_EVERY)
            self._full.clear()
            self._try_to_settle()

    def _try_to_settle(self) -> None:
        try:
            self.settle()
        except StorageError as error:
            _log.warning("acknowledged instances stay in the spool for now: %s", error)
