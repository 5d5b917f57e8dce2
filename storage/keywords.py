"""Data sets as people write them in JSON: attributes by keyword, and the DICOM JSON Model (PS3.18 F.2)."""

from collections.abc import Mapping
from typing import Any

from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword

Readable = dict[str, Any]
"""Values by keyword: text or a number, a list of several, a list of objects for a sequence."""

_NUMBERS = frozenset({"DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"})
_BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_MAX_DEPTH = 8


class Unreadable(ValueError):
    """It is no data set; the message names the attribute."""


def from_keywords(readable: Mapping[str, Any], *, depth: int = _MAX_DEPTH) -> dict[str, Any]:
    """The data set in the DICOM JSON Model; None, empty text and empty lists are attributes without a value.

    Raises:
        Unreadable: a keyword is not of the standard, or its value is none of its VR.
    """
    attributes = {}
    for keyword, value in readable.items():
        tag = tag_for_keyword(keyword)
        if tag is None:
            raise Unreadable(f"{keyword[:64]} is no attribute of the standard")
        vr = dictionary_VR(tag).split(" ")[0]
        values = value if isinstance(value, list) else [value]
        read = [_value(keyword, vr, each, depth) for each in values if each is not None and each != ""]
        attributes[f"{tag:08X}"] = {"vr": vr, "Value": read} if read else {"vr": vr}
    return attributes


def _value(keyword: str, vr: str, value: Any, depth: int) -> Any:
    if vr == "SQ":
        if not isinstance(value, Mapping) or not depth:
            raise Unreadable(f"{keyword} is a sequence: a list of objects")
        return from_keywords(value, depth=depth - 1)
    if vr in _BINARY or isinstance(value, Mapping | list | bool):
        raise Unreadable(f"{keyword} (VR {vr}) cannot be given as {type(value).__name__}")
    if vr in _NUMBERS:
        return _number(keyword, vr, value)
    if "\0" in str(value):
        raise Unreadable(f"{keyword} has a NUL character")
    if vr == "PN":
        return {name: part for name, part in zip(_GROUPS, str(value).split("="), strict=False) if part}
    return str(value)


def _number(keyword: str, vr: str, value: Any) -> float:
    try:
        return float(value) if vr in {"DS", "FD", "FL"} else int(value)
    except (ValueError, OverflowError):
        raise Unreadable(f"{keyword} is a number, not {str(value)[:64]!r}") from None


def to_keywords(attributes: Mapping[str, Any]) -> Readable:
    """A data set of the DICOM JSON Model by keywords; what the dictionary does not know by its tag."""
    return {keyword_for_tag(int(tag, 16)) or tag: _shown(element) for tag, element in attributes.items()}


def _shown(element: Mapping[str, Any]) -> Any:
    values = [_one(element["vr"], value) for value in element.get("Value", ())]
    if element["vr"] == "SQ" or len(values) > 1:
        return values
    return values[0] if values else None


def _one(vr: str, value: Any) -> Any:
    if vr == "SQ":
        return to_keywords(value or {})
    if vr == "PN" and isinstance(value, Mapping):
        return "=".join(str(value.get(name, "")) for name in _GROUPS).rstrip("=")
    return value
