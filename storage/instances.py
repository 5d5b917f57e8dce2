"""Values that name what is stored: checked once, when made."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from storage.errors import InvalidInstance, StorageError

# Leading zeros in a component are wrong (PS3.5 9.1) yet common in the field; we keep such instances.
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_MAX_UID = 64

Protocol = Literal["dimse", "stow", "import", "inference", "review", "reindex", "worklist"]


def checked_uid(value: str, keyword: str) -> str:
    """`value`, when it is a UID (PS3.5 9.1: digits and dots, at most 64 characters).

    Raises:
        InvalidInstance: it is not; the message names `keyword`.
    """
    if len(value) > _MAX_UID or not _UID.fullmatch(value):
        shown = value if len(value) <= _MAX_UID else f"{value[:_MAX_UID]}… ({len(value)} characters)"
        raise InvalidInstance(f"{keyword} is not a UID: {shown!r}")
    return value


@dataclass(frozen=True, slots=True)
class InstanceKey:
    """The three UIDs under which an instance is stored; each is safe as part of an object name."""

    study: str
    series: str
    sop: str

    def __post_init__(self) -> None:
        checked_uid(self.study, "StudyInstanceUID")
        checked_uid(self.series, "SeriesInstanceUID")
        checked_uid(self.sop, "SOPInstanceUID")


@dataclass(frozen=True, slots=True)
class Origin:
    """Who brought an instance, and how."""

    protocol: Protocol
    peer: str = ""
    """Calling AE title, user or program."""
    address: str = ""
    """Network address of the peer, where there is one."""


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """One instance as the index knows it."""

    key: InstanceKey
    sop_class: str
    transfer_syntax: str
    size: int
    """Bytes of the whole Part 10 file."""
    digest: str
    """SHA-256 (hex) of the data set bytes: what follows the file meta information (PS3.10 7.1)."""
    blob: str
    """Object name in the blob store."""
    version: int = 1
    stored_at: datetime | None = None
    number_of_frames: int = 0
    """0 when there is no pixel data."""


@dataclass(frozen=True, slots=True)
class NonPatientInstance:
    """An instance that belongs to no patient (PS3.4 GG), as the index knows it."""

    sop: str
    """SOP Instance UID."""
    sop_class: str
    transfer_syntax: str
    size: int
    """Bytes of the whole Part 10 file."""
    digest: str
    """SHA-256 (hex) of the data set bytes."""
    stored_at: datetime


@dataclass(frozen=True, slots=True)
class Refused:
    """An instance that was not stored, and why."""

    error: StorageError
    sop_class: str = ""
    sop: str = ""


@dataclass(frozen=True, slots=True)
class Accepted:
    """An instance that is on stable storage and in the index."""

    instance: StoredInstance
    duplicate: bool = False
    """The same bytes were stored before: nothing happened."""
    warnings: tuple[str, ...] = field(default=())


Outcome = Accepted | Refused


@dataclass(frozen=True, slots=True)
class Contents:
    """What a study or series holds, without looking at it."""

    instances: int
    newest: datetime | None
    """When the instance was stored that was stored last; None when there is none."""
    token: str
    """Another one after an instance came, was replaced or went."""
