"""How the system is doing: what arrives, what was refused, how much is kept, and whether it answers."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Any, Protocol

from fastapi import APIRouter

from storage.errors import StorageError
from storage.refusals import Quarantined
from storage.senders import Sender, Senders
from webui.api.documented import problems

_REFUSALS = 20
_SENDERS = 100
_KEPT_SECONDS = 10
_SHARE = 100


class Archive(Protocol):
    """What is asked of the archive."""

    def senders(self, now: datetime) -> Senders: ...
    def refusals(self, limit: int) -> Sequence[Quarantined]: ...
    def counts(self) -> dict[str, int]: ...
    def size(self) -> int: ...
    def health(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk of this machine, and what it is for."""

    holds: str
    free: int
    """Bytes."""
    total: int
    """Bytes."""


def operations_router(
    archive: Archive,
    disks: Callable[[], Sequence[Disk]],
    parts: Callable[[datetime], Sequence[dict[str, Any]]],
    version: str,
) -> APIRouter:
    """`/operations` and what is told there.

    Args:
        archive: what is asked.
        disks: measures the disks that matter.
        parts: the processes of the system as they said last that they run; takes the time now.
        version: of this program.
    """
    router = APIRouter(tags=["operations"])
    volume = Volume(archive)

    @router.get(
        "/operations",
        summary="Which parts run, who sends, what was refused, and health",
        responses=problems(),
    )
    def now() -> dict[str, Any]:
        at = datetime.now(UTC)
        senders = archive.senders(at)
        trouble = _trouble(archive)
        return {
            "version": version,
            "trouble": trouble,
            "parts": parts(at) if trouble is None else [],
            "since": senders.since.isoformat(),
            "senders": [_sender(each) for each in senders.senders[:_SENDERS]],
            "refusals": [_refusal(each) for each in archive.refusals(_REFUSALS)],
            "disks": [asdict(each) for each in disks()],
        }

    @router.get("/operations/volume", summary="How much is stored, as last counted", responses=problems())
    def stored() -> dict[str, Any]:
        return volume.told()

    return router


class Volume:
    """How much is stored. Counting reads whole tables, so it takes no more than a hundredth of the time."""

    def __init__(self, archive: Archive, clock: Callable[[], float] = time.monotonic) -> None:
        self._archive = archive
        self._clock = clock
        self._lock = Lock()
        self._told: dict[str, Any] = {}
        self._due = 0.0

    def told(self) -> dict[str, Any]:
        """Counts by level, bytes, and when they were counted."""
        with self._lock:
            if not self._told or self._clock() >= self._due:
                begun = self._clock()
                counts = self._archive.counts()
                self._told = {**counts, "bytes": self._archive.size(), "at": datetime.now(UTC).isoformat()}
                ended = self._clock()
                self._due = ended + max(_KEPT_SECONDS, _SHARE * (ended - begun))
            return self._told


def _trouble(archive: Archive) -> str | None:
    """Why nothing can be stored now; None when it can."""
    try:
        archive.health()
    except StorageError as error:
        return str(error)
    return None


def _sender(sender: Sender) -> dict[str, Any]:
    return {
        **asdict(sender.origin),
        "last_at": sender.last_at.isoformat(),
        "last_hour": sender.hours[0],
        "last_day": sum(sender.hours),
        "hours": list(sender.hours),
    }


def _refusal(refused: Quarantined) -> dict[str, Any]:
    return {
        **asdict(refused.origin),
        "reason": refused.reason,
        "sop": refused.sop,
        "study": refused.study,
        "kept": refused.blob is not None,
        "times": refused.times,
        "last_at": refused.last_at.isoformat(),
    }
