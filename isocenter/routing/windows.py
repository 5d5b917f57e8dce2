"""Times of day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta


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

    def opens(self, moment: datetime) -> datetime:
        """The next time after `moment` at which it begins."""
        local = moment.astimezone()
        begin = local.replace(hour=self.start.hour, minute=self.start.minute, second=0, microsecond=0)
        return begin if begin > local else begin + timedelta(days=1)


def opening(windows: Sequence[Window], moment: datetime) -> datetime:
    """`moment`, when it is in one of the windows or there are none; otherwise when the next one begins."""
    if not windows or any(window.contains(moment) for window in windows):
        return moment
    return min(window.opens(moment) for window in windows)
