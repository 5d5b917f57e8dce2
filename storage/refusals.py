"""What was refused: listed with its reason, and its bytes kept where they may be worth something."""

from dataclasses import dataclass
from datetime import datetime

from storage.instances import Origin


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One refusal as the administrator sees it; UIDs are '' where the bytes did not tell."""

    id: int
    blob: str | None
    """Name of the blob that keeps the bytes; None when they were not an instance."""
    study: str
    series: str
    sop: str
    sop_class: str
    transfer_syntax: str
    size: int
    """Bytes."""
    reason: str
    origin: Origin
    """Who sent it last."""
    first_at: datetime
    last_at: datetime
    times: int
    """How often the same was refused."""
