"""Private attributes and the blocks that their creators have reserved in an instance (PS3.5 7.8.1)."""

from collections.abc import Iterator, Mapping
from typing import Any

_FIRST_BLOCK, _LAST_BLOCK = 0x10, 0xFF


def stored_tags(attributes: Mapping[str, Any], creators: Mapping[str, str]) -> set[str]:
    """Where an instance has the attributes that are asked for, and the elements that name their creators.

    Args:
        attributes: of the instance, in the DICOM JSON Model.
        creators: by private attribute, of whatever block, its creator.
    """
    return {
        tag for asked, creator in creators.items() for tag in _places(attributes, asked, creator)
    } & attributes.keys()


def _places(attributes: Mapping[str, Any], asked: str, creator: str) -> Iterator[str]:
    group = asked[:4]
    for block in range(_FIRST_BLOCK, _LAST_BLOCK + 1):
        element = f"{group}00{block:02X}"
        if [str(value).strip() for value in attributes.get(element, {}).get("Value", ())] == [creator]:
            yield element
            yield f"{group}{block:02X}{asked[6:]}"
