"""What happened to what is stored: written with the rows, read by whoever reacts to it, by a cursor."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from storage.instances import Origin

Kind = Literal[
    "instance.stored",
    "instance.replaced",
    "instance.deleted",
    "delivery.ended",
    "series.performed",
    "step.scheduled",
]
"""The last two: a modality has told which instances it has made in a series; something of a study came to
stand on the modality worklist."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened."""

    cursor: str
    """Where to go on reading after this event; opaque."""
    kind: Kind
    study: str
    series: str
    """Empty for `step.scheduled`, which is about a study."""
    sop: str | None
    """None for what is not about one instance."""
    delivery: str | None
    origin: Origin
    at: datetime
