"""The parts that run, on whatever machine: each says from time to time that it is alive."""

import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any, Protocol
from uuid import uuid4

from storage.errors import StorageError

BEAT_SECONDS = 10.0
SILENT = timedelta(seconds=3 * BEAT_SECONDS)
"""A part that was not heard for so long has stopped without saying so, or cannot reach the database."""
FORGOTTEN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Part:
    """A part as it said last that it runs."""

    id: str
    name: str
    """node, web, worker, scheduler or router."""
    host: str
    pid: int
    version: str
    started_at: datetime
    beat_at: datetime


class Parts(Protocol):
    """Where parts say that they are alive."""

    def beat(self, part: Part) -> None: ...
    def gone(self, ids: Sequence[str]) -> None: ...
    def all(self) -> Sequence[Part]: ...


@contextmanager
def beating(parts: Parts, *names: str) -> Iterator[None]:
    """Say that the parts `names` run in this process, until the end of the block.

    A database that does not answer delays, and ends nothing: silence is what it shows.
    """
    now = datetime.now(UTC)
    running = [
        Part(uuid4().hex, name, socket.gethostname(), os.getpid(), version("isocenter"), now, now)
        for name in names
    ]
    stopped = threading.Event()
    thread = threading.Thread(target=_beat, args=(parts, running, stopped), name="beat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def _beat(parts: Parts, running: Sequence[Part], stopped: threading.Event) -> None:
    with suppress(StorageError):
        parts.gone([each.id for each in parts.all() if _is_left_over(each)])
    while True:
        now = datetime.now(UTC)
        with suppress(StorageError):
            for part in running:
                parts.beat(replace(part, beat_at=now))
        if stopped.wait(BEAT_SECONDS):
            break
    with suppress(StorageError):
        parts.gone([each.id for each in running])


def _is_left_over(part: Part) -> bool:
    """Killed on this machine, and started again since; or silent for longer than anybody asks about."""
    if datetime.now(UTC) - part.beat_at > FORGOTTEN:
        return True
    return part.host == socket.gethostname() and not _is_process(part.pid)


def _is_process(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is there, and another user's
    return True


def shown(part: Part, now: datetime) -> dict[str, Any]:
    """A part as the operations page tells of it."""
    return {
        "name": part.name,
        "host": part.host,
        "pid": part.pid,
        "version": part.version,
        "started_at": part.started_at.isoformat(),
        "beat_at": part.beat_at.isoformat(),
        "silent": now - part.beat_at > SILENT,
    }
