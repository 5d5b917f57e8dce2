"""Elements of the DICOM JSON Model (PS3.18 F.2), as procedure steps are written and read."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

Attributes = dict[str, Any]
"""Elements by tag (eight hexadecimal digits, upper case)."""

_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


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
