"""Names of blobs: readable, and enough to find every instance again without the index."""

import re
from dataclasses import dataclass

from storage.errors import InvalidInstance
from storage.instances import InstanceKey

STUDIES = "studies/"
NON_PATIENT = "non-patient/"
QUARANTINE = "quarantine/"

_STUDIES = re.compile(r"studies/([0-9.]+)/([0-9.]+)/([0-9.]+?)(?:\.v([1-9][0-9]{0,8}))?\.dcm")
_DIGEST = 12


@dataclass(frozen=True, slots=True)
class Place:
    """Whose bytes a blob holds, by its name."""

    key: InstanceKey
    version: int = 1

    @property
    def blob(self) -> str:
        suffix = "" if self.version == 1 else f".v{self.version}"
        return f"{STUDIES}{self.key.study}/{self.key.series}/{self.key.sop}{suffix}.dcm"


def place_of(blob: str) -> Place | None:
    """The place that has this name; None when the name is not one of ours."""
    found = _STUDIES.fullmatch(blob)
    if not found:
        return None
    try:
        place = Place(InstanceKey(found[1], found[2], found[3]), int(found[4] or 1))
    except InvalidInstance:
        return None
    return place if place.blob == blob else None


def non_patient_place(sop: str) -> str:
    """The name of the blob of an instance that belongs to no patient, by its SOP Instance UID."""
    return f"{NON_PATIENT}{sop}.dcm"


def quarantined_non_patient(sop: str, digest: str) -> str:
    """As `quarantined`, of an instance that belongs to no patient."""
    return f"{QUARANTINE}{NON_PATIENT}{sop}.{digest[:_DIGEST]}.dcm"


def quarantined(key: InstanceKey, digest: str) -> str:
    """The name under which refused bytes are kept; `digest` tells several copies of one instance apart."""
    return f"{QUARANTINE}{key.study}/{key.series}/{key.sop}.{digest[:_DIGEST]}.dcm"
