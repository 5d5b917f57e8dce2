"""Shipments: what of one study goes to one destination."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

State = Literal["waiting", "sent", "parked", "dropped"]


class UnknownShipment(Exception):
    """There is no such shipment, or nothing of it waits; the message says which."""


@dataclass(frozen=True, slots=True)
class Shipment:
    """How far it has come."""

    id: int
    destination: str
    study: str
    rule: str
    """Name of the rule that made it."""
    state: State
    queued_at: datetime
    changed_at: datetime
    due_at: datetime
    """When it is tried next."""
    attempts: int
    """Without progress, so far."""
    total: int
    """Instances."""
    sent: int
    reason: str
    """Why the last attempt failed."""
    holder: str
    """Who sends it; of no meaning when `due_at` is over."""


@dataclass(frozen=True, slots=True)
class Figures:
    """How a destination does."""

    destination: str
    waiting: int = 0
    """Instances."""
    oldest: datetime | None = None
    """Since when the first of them waits."""
    parked: int = 0
    """Instances."""
    sent: int = 0
    """Instances, ever."""
    failed: int = 0
    """Attempts at instances or associations, ever."""
    last_sent_at: datetime | None = None
    last_reason: str = ""
    """Why the last attempt that failed did."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """An instance that a rule sends to a destination."""

    destination: str
    rule: str
    study: str
    sop: str


@dataclass(frozen=True, slots=True)
class Wish:
    """An errand for a study: its priors are to be fetched, or a peer is to be told that it is here."""

    kind: Literal["prefetch", "notice"]
    rule: str
    study: str
    again: bool = False
    """Also when it was done before."""
