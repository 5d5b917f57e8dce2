"""Dates and times that are meant in another time zone (PS3.18 8.3.4.1.1, PS3.4 C.2.2.2.5)."""

import re
from collections.abc import Mapping
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta
from typing import Any

from storage.key_matching import texts
from storage.moments import first_of
from storage.search import TIME_OF, Exact, Range, Value

TIMEZONE = "00080201"
"""Timezone Offset From UTC."""
MOMENTS = frozenset({*TIME_OF, *TIME_OF.values()})
"""Tags of the dates and times that a zone changes."""
_OFFSET = re.compile(r"([+-])([01][0-9])([0-5][0-9])")
_MOMENT = "%Y%m%d%H%M%S%f"


def read_offset(text: str) -> int | None:
    """Minutes east of UTC that a Timezone Offset From UTC means (PS3.3 C.12.1.1.8); None when it is none."""
    found = _OFFSET.fullmatch(text.strip())
    if found is None:
        return None
    minutes = int(found[2]) * 60 + int(found[3])
    return -minutes if found[1] == "-" else minutes


def in_zone(attributes: Mapping[str, Any], zone: int) -> Mapping[str, Any]:
    """A data set with the dates and times of `TIME_OF` as clocks in another zone show them.

    What does not say in which zone it is, and a date without a time, stays as it is.

    Args:
        attributes: in the DICOM JSON Model.
        zone: minutes east of UTC.
    """
    stored = read_offset(_first(attributes, TIMEZONE))
    if stored is None or stored == zone:
        return attributes
    moved = dict(attributes)
    for date, time in TIME_OF.items():
        at = _moment(_first(attributes, date), _first(attributes, time))
        if at is not None:
            at += timedelta(minutes=zone - stored)
            moved[date] = {"vr": "DA", "Value": [f"{at:%Y%m%d}"]}
            moved[time] = {"vr": "TM", "Value": [f"{at:%H%M%S.%f}"]}
    return moved


def days_around(asked: Value) -> Range | None:
    """The dates that have something of those asked for in any time zone; None: every date may."""
    if isinstance(asked, Exact):
        asked = Range(asked.value, asked.value)
    if not isinstance(asked, Range):
        return None
    low, high = asked.low, asked.high
    ends = (low and _days_after(low, -1), high and _days_after(high, 1))
    return Range(*ends) if any(ends) else None


def _days_after(text: str, days: int) -> str | None:
    at = _moment(text, "00")
    return None if at is None else f"{at + timedelta(days=days):%Y%m%d}"


def _moment(date: str, time: str) -> datetime | None:
    if not date or not time:
        return None
    try:
        at = datetime.strptime(first_of("DA", date) + first_of("TM", time), _MOMENT).replace(tzinfo=UTC)
    except ValueError:
        return None
    # No calendar has room beyond these.
    return at if MINYEAR < at.year < MAXYEAR else None


def _first(attributes: Mapping[str, Any], tag: str) -> str:
    return next(iter(texts(attributes.get(tag) or {})), "")
