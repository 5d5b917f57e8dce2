"""Values of VR DA, TM and DT (PS3.5 6.2), single and as ranges (PS3.4 C.2.2.2.5)."""

import re
from datetime import UTC, datetime, timedelta, timezone

_DIGITS = (4, 6, 8, 10, 12, 14)
_ZONE = 5
_TIME = re.compile(r"(\d{2}|\d{4}|\d{6}(?:\.\d{1,6})?)?")
_DATE = re.compile(r"(\d{4}(?:\d{2}){0,2})?")
_MOMENT = r"\d{4,14}(?:\.\d{1,6})?(?:[+-]\d{4})?"
_MOMENTS = re.compile(rf"({_MOMENT})?-({_MOMENT})?")


def is_date_or_time(vr: str, asked: str) -> bool:
    """A value or range of VR DA or TM."""
    form = _DATE if vr == "DA" else _TIME
    low, _, high = _plain(vr, asked).partition("-")
    return all(form.fullmatch(end.strip()) for end in (low, high))


def first_of(vr: str, text: str, fill: str = "0") -> str:
    """The first moment that a date or time means; the last with `fill` 9. Times have 12 digits."""
    plain = _plain(vr, text)
    if vr == "DA":
        return plain.ljust(8, fill)
    whole, _, fraction = plain.partition(".")
    return whole.ljust(6, fill) + fraction.ljust(6, fill)


def ends_of(vr: str, asked: str) -> tuple[str, str]:
    """The first and the last moment of a value or range of VR DA or TM, to compare with `first_of`."""
    low, dash, high = (part.strip() for part in _plain(vr, asked).partition("-"))
    if not dash:
        # A single time is itself: `0930` is 09:30:00, not all of that minute.
        return first_of(vr, low), first_of(vr, low)
    return (first_of(vr, low) if low else ""), (first_of(vr, high, "9") if high else "9" * 12)


def _plain(vr: str, text: str) -> str:
    # ACR-NEMA wrote dates and times with these (PS3.5 6.2, DA and TM).
    return text.replace("." if vr == "DA" else ":", "")


def moments_of(asked: str) -> tuple[datetime | None, datetime | None]:
    """The first and the last moment that a value or range of VR DT means; None where a range is open.

    Raises:
        ValueError: it is neither; or OverflowError.
    """
    # A whole value first: the offset of `202601-0500` is no end of a range.
    if re.fullmatch(_MOMENT, asked):
        return read_moment(asked)
    ends = _MOMENTS.fullmatch(asked)
    if ends is None or asked == "-":
        raise ValueError(f"{asked[:64]!r} is neither a date and time nor a range")
    low, high = ends.groups()
    return (read_moment(low)[0] if low else None), (read_moment(high)[1] if high else None)


def read_moment(value: str) -> tuple[datetime, datetime]:
    """The first and the last moment that a DT value means; without an offset it is in UTC.

    Raises:
        ValueError: it is none.
    """
    zone, body = UTC, value.strip()
    if len(body) > _ZONE and body[-_ZONE] in "+-":
        sign = -1 if body[-_ZONE] == "-" else 1
        zone = timezone(sign * timedelta(hours=int(body[-4:-2]), minutes=int(body[-2:])))
        body = body[:-_ZONE]
    whole, _, fraction = body.partition(".")
    if not (whole.isascii() and whole.isdigit() and len(whole) in _DIGITS):
        raise ValueError(f"{value[:64]!r} is no date and time")
    start = datetime.strptime(whole + "00010101000000"[len(whole) :], "%Y%m%d%H%M%S").replace(tzinfo=zone)
    if fraction:
        start += timedelta(microseconds=int(fraction.ljust(6, "0")[:6]))
        return start, start
    return start, _end(start, len(whole))


def _end(start: datetime, digits: int) -> datetime:
    """The last moment within the precision of a value of that many digits."""
    if digits == _DIGITS[0]:
        following = start.replace(year=start.year + 1)
    elif digits == _DIGITS[1]:
        following = (start + timedelta(days=31)).replace(day=1)
    else:
        following = start + {8: timedelta(days=1), 10: timedelta(hours=1), 12: timedelta(minutes=1)}.get(
            digits, timedelta(seconds=1)
        )
    return following.replace(tzinfo=start.tzinfo) - timedelta(microseconds=1)
