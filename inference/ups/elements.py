"""Elements of the DICOM JSON Model (PS3.18 F.2), as procedure steps are written and read."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

Attributes = dict[str, Any]
"""Elements by tag (eight hexadecimal digits, upper case)."""

_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_DIGITS = (4, 6, 8, 10, 12, 14)
_ZONE = 5


def element(vr: str, *values: Any) -> dict[str, Any]:
    """An element; without values it is empty."""
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}


def sequence(*items: Attributes) -> dict[str, Any]:
    """A sequence of items."""
    return element("SQ", *items)


def text(value: Any) -> str:
    """A value as it is written in a data set."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return "=".join(str(value.get(group, "")) for group in _NAME_GROUPS).rstrip("=")
    return str(value)


def texts(attributes: Mapping[str, Any], tag: str) -> list[str]:
    """The values of an attribute that are not empty."""
    return [found for value in attributes.get(tag, {}).get("Value", ()) if (found := text(value).strip())]


def first(attributes: Mapping[str, Any], tag: str) -> str:
    """The first value of an attribute; empty when there is none."""
    return next(iter(texts(attributes, tag)), "")


def items(attributes: Mapping[str, Any], tag: str) -> list[Attributes]:
    """The items of a sequence."""
    return [item or {} for item in attributes.get(tag, {}).get("Value", ())]


def code(value: str, scheme: str, meaning: str) -> Attributes:
    """An item of the Code Sequence Macro (PS3.3 table 8.8-1)."""
    short = len(value) <= 16  # noqa: PLR2004 - VR SH
    return {
        **({"00080100": element("SH", value)} if short else {}),
        "00080102": element("SH", scheme),
        "00080104": element("LO", meaning[:64]),
        **({} if short else {"00080119": element("UC", value)}),
    }


def moment(at: datetime) -> dict[str, Any]:
    """A DT element with its offset from UTC."""
    return element("DT", at.astimezone(UTC).strftime("%Y%m%d%H%M%S.%f+0000"))


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
