"""What every long-running command shares: logging, one ready line, a stop that finishes what was begun."""

import contextlib
import ctypes
import faulthandler
import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

# Libraries that say at every start what nobody needs to know.
CHATTY = ("alembic", "celery", "highdicom", "pynetdicom", "uvicorn.error")

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def configure_logging(level: str) -> None:
    """Log lines on standard error; standard output belongs to answers and the ready line."""
    logging.basicConfig(level=level.upper(), format=FORMAT, stream=sys.stderr, force=True)
    logging.captureWarnings(capture=True)
    for logger in CHATTY:
        logging.getLogger(logger).setLevel(logging.WARNING)


def say_ready(**facts: str) -> None:
    """Print `ready key=value …`, the line that supervisors and scripts wait for."""
    # What is loaded now stays: collections need not look at it again.
    gc.collect()
    gc.freeze()
    words = [f"{key}={value}" for key, value in facts.items()]
    print("ready", *words, flush=True)  # noqa: T201 - standard output is where it is waited for


def keep_freed_memory() -> None:
    """Let this process reuse what it has freed, where the C library can be told so (glibc).

    By default each buffer of half a megabyte is asked of the system and given back: mapping its pages anew
    takes several times as long as filling them.
    """
    tune = getattr(ctypes.CDLL(None), "mallopt", None)
    if tune is not None:
        for parameter, value in _MALLOC.items():
            tune(parameter, value)


_MALLOC = {
    -3: 32 << 20,  # M_MMAP_THRESHOLD: the greatest it takes
    -1: 64 << 20,  # M_TRIM_THRESHOLD: what it keeps
    -8: 2,  # M_ARENA_MAX: threads share it
}


def stop_with_supervisor() -> None:
    """End this process gracefully when standard input closes: its supervisor is gone."""

    def watch() -> None:
        # Not sys.stdin: a buffered reader's lock, held by a daemon thread, aborts the interpreter's end.
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="with-supervisor", daemon=True).start()


class TimeLimit:
    """Ends this process when something takes longer, with the stacks of its threads on standard error.

    Nothing less stops a decoder or an operator that neither returns nor lets other threads run. One for a
    process: there is one such clock in it.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._ends: list[float] = []

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        """The body must end in time; any number of threads may be in one."""
        end = time.monotonic() + self._seconds
        with self._lock:
            self._ends.append(end)
            self._set_clock()
        try:
            yield
        finally:
            with self._lock:
                self._ends.remove(end)
                self._set_clock()

    def _set_clock(self) -> None:
        if self._ends:
            left = max(min(self._ends) - time.monotonic(), 0.001)
            faulthandler.dump_traceback_later(left, exit=True)
        else:
            faulthandler.cancel_dump_traceback_later()


def listening_socket(host: str, port: int) -> socket.socket:
    """A TCP socket that listens on `host`:`port`; port 0 picks a free one.

    Raises:
        OSError: the address is in use or not of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=1024)


@contextlib.contextmanager
def on_hangup(action: Callable[[], object]) -> Iterator[None]:
    """SIGHUP calls `action`, in the main thread between two of its steps."""
    before = signal.signal(signal.SIGHUP, lambda *_: action())
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


@contextlib.contextmanager
def until_stopped() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set; a second signal ends the process at once."""
    stopped = threading.Event()

    def stop(number: int, _: FrameType | None) -> None:
        if stopped.is_set():
            os._exit(128 + number)
        stopped.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
