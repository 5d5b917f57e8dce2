"""Reading values out of a DICOM JSON header (PS3.18 F.2), leniently: what is absent is None, "" or []."""

import base64
import binascii
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

Attributes = Mapping[str, Any]
"""A data set or sequence item: eight hexadecimal digits → element."""

SHARED_GROUPS = "52009229"
PER_FRAME_GROUPS = "52009230"
_LUT_DATA = "00283006"
_LUT_SEQUENCES = ("00283000", "00283010", "00289132", SHARED_GROUPS, PER_FRAME_GROUPS)
_PALETTES = tuple(f"0028{element}" for element in ("1201", "1202", "1203", "1221", "1222", "1223"))


def values(attributes: Attributes, tag: str) -> list[Any]:
    """All values of an element."""
    element = attributes.get(tag)
    found = element.get("Value") if isinstance(element, Mapping) else None
    return list(found) if isinstance(found, list) else []


def value(attributes: Attributes, tag: str) -> Any:
    """The first value of an element."""
    return next(iter(values(attributes, tag)), None)


def text(attributes: Attributes, tag: str) -> str:
    """The first value as text, without padding."""
    found = value(attributes, tag)
    return "" if found is None else str(found).strip()


def numbers(attributes: Attributes, tag: str) -> list[float]:
    """The values that are finite numbers; DS and IS may come as JSON numbers or strings (PS3.18 F.2.3.1)."""
    found: list[float] = []
    for each in values(attributes, tag):
        with suppress(TypeError, ValueError):
            found.append(float(each))
    return [each for each in found if np.isfinite(each)]


def number(attributes: Attributes, tag: str) -> float | None:
    """The first numeric value."""
    return next(iter(numbers(attributes, tag)), None)


def integer(attributes: Attributes, tag: str) -> int | None:
    """The first numeric value as an integer."""
    found = number(attributes, tag)
    return None if found is None else int(found)


def items(attributes: Attributes, tag: str) -> list[Attributes]:
    """The items of a sequence."""
    return [each for each in values(attributes, tag) if isinstance(each, Mapping)]


def item(attributes: Attributes, tag: str) -> Attributes:
    """The first item of a sequence; empty when there is none."""
    return next(iter(items(attributes, tag)), {})


def functional_group(header: Attributes, tag: str, frame: int) -> Attributes:
    """The first item of a functional group macro for a frame (1-based): per frame, else shared (C.7.6.16)."""
    per_frame = items(header, PER_FRAME_GROUPS)
    own = item(per_frame[frame - 1], tag) if 0 < frame <= len(per_frame) else {}
    return own or item(item(header, SHARED_GROUPS), tag)


def words(attributes: Attributes, tag: str) -> npt.NDArray[np.uint8]:
    """The little endian bytes of an element of VR US, SS or OW, given as numbers or as InlineBinary."""
    given = values(attributes, tag)
    if given:
        return np.array([int(each) & 0xFFFF for each in given], "<u2").view(np.uint8)
    inline = attributes.get(tag, {}).get("InlineBinary", "")
    try:
        return np.frombuffer(base64.b64decode(inline), np.uint8)
    except (binascii.Error, TypeError, ValueError):
        return np.empty(0, np.uint8)


def with_tables(header: Attributes, read: Callable[[str], bytes]) -> Attributes:
    """The header with the lookup tables that rendering needs put in the place of their bulk data references.

    Args:
        header: DICOM JSON whose large values are `{"BulkDataURI": "bulkdata:<path>"}`.
        read: gives the little endian bytes of the value at a path.
    """
    changed = {tag: _inline(header[tag], read) for tag in _PALETTES if tag in header}
    for tag in _LUT_SEQUENCES:
        if tag in header:
            changed[tag] = _in_items(header[tag], read)
    return {**header, **changed}


def _in_items(element: Attributes, read: Callable[[str], bytes]) -> Attributes:
    return {**element, "Value": [_in_item(each, read) for each in element.get("Value") or []]}


def _in_item(attributes: Attributes, read: Callable[[str], bytes]) -> Attributes:
    changed = {tag: _in_items(attributes[tag], read) for tag in _LUT_SEQUENCES if tag in attributes}
    if _LUT_DATA in attributes:
        changed[_LUT_DATA] = _inline(attributes[_LUT_DATA], read)
    return {**attributes, **changed}


def _inline(element: Attributes, read: Callable[[str], bytes]) -> Attributes:
    reference = str(element.get("BulkDataURI", ""))
    if not reference.startswith("bulkdata:"):
        return element
    data = read(reference.removeprefix("bulkdata:"))
    return {"vr": "OW", "InlineBinary": base64.b64encode(data).decode("ascii")}
