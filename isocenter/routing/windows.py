"""Times of day."""

from dataclasses import dataclass
from datetime import datetime, time


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` until before `end`; over midnight where that is earlier."""

    start: time
    end: time

    def contains(self, moment: datetime) -> bool:
        """Whether the local time of `moment` is in it."""
        now = moment.astimezone().time()
        if self.start < self.end:
            return self.start <= now < self.end
        return now >= self.start or now < self.end
