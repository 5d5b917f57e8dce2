"""What other archives have told us that can be retrieved from them (PS3.4 R)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from storage.key_matching import texts

Availability = Literal["ONLINE", "NEARLINE", "OFFLINE", "UNAVAILABLE"]
"""Instance Availability (0008,0056), PS3.3 C.4.23.1.1."""

_SERIES_SEQUENCE, _SOP_SEQUENCE = "00081115", "00081199"
_SOP, _AVAILABILITY, _RETRIEVE_AET = "00081155", "00080056", "00080054"


@dataclass(frozen=True, slots=True)
class Notice:
    """One notification."""

    sop: str
    """SOP Instance UID of the notification."""
    peer: str
    """AE title of who told us."""
    study: str
    attributes: Mapping[str, Any]
    """All of it, in the DICOM JSON Model."""
    received_at: datetime

    def instances(self) -> list[tuple[str, str, str]]:
        """SOP Instance UID, Instance Availability and Retrieve AE Title of each."""
        series = self.attributes.get(_SERIES_SEQUENCE, {}).get("Value", ())
        items = [item for each in series for item in each.get(_SOP_SEQUENCE, {}).get("Value", ())]
        return [
            (_first(item, _SOP), _first(item, _AVAILABILITY), _first(item, _RETRIEVE_AET)) for item in items
        ]


def _first(attributes: Mapping[str, Any], tag: str) -> str:
    return next(iter(texts(attributes.get(tag) or {})), "")
