"""What happened to what is stored: written with the rows, read by whoever reacts to it, by a cursor."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from storage.instances import Origin

Kind = Literal[
    "instance.stored", "instance.replaced", "instance.deleted", "delivery.ended", "series.performed"
]
"""The last: a modality has told which instances it has made in a series."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened."""

    cursor: str
    """Where to go on reading after this event; opaque."""
    kind: Kind
    study: str
    series: str
    sop: str | None
    """None for `delivery.ended` and `series.performed`, which are about a series."""
    delivery: str | None
    origin: Origin
    at: datetime
