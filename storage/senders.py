"""Who brings what: the senders of late, and how much of each."""

from dataclasses import dataclass
from datetime import datetime

from storage.instances import Origin

HOURS = 24


@dataclass(frozen=True, slots=True)
class Sender:
    """What one sender brought in the last day."""

    origin: Origin
    last_at: datetime
    hours: tuple[int, ...]
    """Instances in each of the last 24 hours, the latest first."""


@dataclass(frozen=True, slots=True)
class Senders:
    """The senders of the last day, the latest first."""

    senders: tuple[Sender, ...]
    since: datetime
    """From when on the counts are whole: a day ago, or later where more came than is looked at."""
