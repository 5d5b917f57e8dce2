"""How long a sender pauses between the deliveries of one series: learnt from those that it has sent."""

import math
from collections.abc import Sequence
from datetime import timedelta

from storage.instances import Origin

REMEMBERED = 32
"""So many series of each sender."""
ENOUGH = 5
"""So many must have come before anything is learnt."""
LONGEST = timedelta(minutes=1)
"""A longer pause is none: more of the series was sent at another time."""
_SHARE = 0.9
_LONGEST_NAME = 128


def sender_of(origin: Origin) -> str:
    """The name under which is kept what was learnt of a sender."""
    return f"{origin.protocol}:{origin.peer}"[:_LONGEST_NAME]


def peer_of(sender: str) -> str:
    """The AE title, user agent or program of a sender."""
    return sender.partition(":")[2]


def remembered(pauses: Sequence[float], pause: timedelta) -> list[float]:
    """What is kept of a sender after one more series.

    Args:
        pauses: the longest pause in each earlier series, in seconds, the latest last.
        pause: the longest in this one.
    """
    return [*pauses, round(pause.total_seconds(), 3)][-REMEMBERED:]


def learnt_wait(pauses: Sequence[float], least: timedelta) -> timedelta | None:
    """How long after a delivery's end nothing more of its series is to be expected.

    Twice what nine of ten series kept to; `least` where a sender sends each series in one delivery.

    Args:
        pauses: as of `remembered`.
        least: never less.

    Returns:
        None when too little is known of the sender.
    """
    if len(pauses) < ENOUGH:
        return None
    usual = sorted(pauses)[math.ceil(len(pauses) * _SHARE) - 1]
    return min(max(timedelta(seconds=2 * usual), least), LONGEST)
