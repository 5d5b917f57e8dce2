"""Storage commitment (PS3.4 J): who asked for what, and whether it is safely stored."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from storage.archive import Archive
from storage.errors import UnknownInstance

State = Literal["waiting", "reported", "given up"]

PROCESSING_FAILURE = 0x0110
NO_SUCH_OBJECT_INSTANCE = 0x0112
CLASS_INSTANCE_CONFLICT = 0x0119
"""Values of Failure Reason (0008,1197), PS3.3 C.14.1.1."""


@dataclass(frozen=True, slots=True)
class Reference:
    """An instance somebody wants to be sure of."""

    sop_class: str
    sop: str


@dataclass(frozen=True, slots=True)
class Commitment:
    """A request, and how far its answer has come."""

    transaction: str
    """Transaction UID (0008,1195); the peer's, so it is unique only among the requests of one peer."""
    peer: str
    """AE title of the peer, which is told."""
    references: tuple[Reference, ...]
    asked_at: datetime
    state: State = "waiting"
    attempts: int = 0
    reason: str = ""
    """Why the last attempt to tell the peer failed."""
    failed: int | None = None
    """How many of the instances could not be committed, as the peer was told."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What can be committed, and why the rest cannot: values of Failure Reason (0008,1197)."""

    committed: tuple[Reference, ...]
    failed: tuple[tuple[Reference, int], ...]


def check(
    archive: Archive,
    references: Iterable[Reference],
    *,
    read_up_to: int,
    before_each: Callable[[], None] = lambda: None,
) -> Verdict:
    """Whether instances are there now: the row, the SOP class, the blob and its size, and its digest.

    Args:
        archive: which has to keep them.
        references: what is asked for.
        read_up_to: bytes; bigger files are not read again to compare their digest.
        before_each: called before each instance; what it raises ends the check.

    Raises:
        StorageDown: nothing can be said now.
    """
    committed, failed = list[Reference](), list[tuple[Reference, int]]()
    for reference in references:
        before_each()
        reason = _failure(archive, reference, read_up_to)
        if reason is None:
            committed.append(reference)
        else:
            failed.append((reference, reason))
    return Verdict(tuple(committed), tuple(failed))


def _failure(archive: Archive, reference: Reference, read_up_to: int) -> int | None:
    try:
        instance = archive.instance(reference.sop)
    except UnknownInstance:
        return NO_SUCH_OBJECT_INSTANCE
    if instance.sop_class != reference.sop_class:
        return CLASS_INSTANCE_CONFLICT
    return PROCESSING_FAILURE if archive.damage(instance, read_up_to=read_up_to) else None
