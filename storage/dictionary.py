"""The value representation of an attribute whose data set does not say it (PS3.5 7.1.3, PS3.6)."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from pydicom.datadict import dictionary_VR, private_dictionary_VR

_PIXEL_REPRESENTATION = "00280103"
_SIGNED = 1


@lru_cache(maxsize=8192)
def _public(tag: int) -> str:
    try:
        vr: str = dictionary_VR(tag)
    except KeyError:
        return "UN"
    return vr


@lru_cache(maxsize=8192)
def _private(tag: int, creator: str) -> str:
    try:
        vr: str = private_dictionary_VR(tag, creator)
    except KeyError:
        return "UN"
    return vr


def value_representation(tag: int, scopes: Sequence[Mapping[str, Any]]) -> str:
    """The VR that an implicit VR data set means.

    Args:
        tag: group and element number in one integer.
        scopes: what was read so far (DICOM JSON), of the outermost data set first, of its own last.

    Returns:
        A VR of PS3.5 6.2; UN where the dictionaries do not know the attribute.
    """
    if tag & 0x10000:
        return _private_vr(tag, scopes[-1])
    vr = _public(tag)
    if len(vr) == 2:  # noqa: PLR2004 - a VR has two letters, a choice more
        return vr
    if "OW" in vr:
        return "OW"  # PS3.5 A.1 a, b
    return "SS" if _pixels_are_signed(scopes) else "US"


def _private_vr(tag: int, scope: Mapping[str, Any]) -> str:
    element = tag & 0xFFFF
    if element < 0x100:  # noqa: PLR2004
        return "LO"  # a Private Creator (PS3.5 7.8.1), or nothing that could be told
    creator = scope.get(f"{tag >> 16:04X}00{element >> 8:02X}", {}).get("Value")
    return _private(tag, creator[0]) if creator and isinstance(creator[0], str) else "UN"


def _pixels_are_signed(scopes: Sequence[Mapping[str, Any]]) -> bool:
    for scope in reversed(scopes):
        if representation := scope.get(_PIXEL_REPRESENTATION):
            return bool(representation.get("Value") == [_SIGNED])
    return False
