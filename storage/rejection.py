"""Rejection notes: Key Object Selection documents that take instances out of use (IHE RAD IOCM, RAD-66)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

KEY_OBJECT_SELECTION = "1.2.840.10008.5.1.4.1.1.88.59"
TITLES: Mapping[str, str] = {
    "113001": "Rejected for Quality Reasons",
    "113037": "Rejected for Patient Safety Reasons",
    "113038": "Incorrect Modality Worklist Entry",
    "113039": "Data Retention Policy Expired",
}
"""Document titles (PS3.16 CID 7011) in the scheme DCM that reject what the document refers to."""

_TITLE, _CODE, _SCHEME = "0040A043", "00080100", "00080102"
_EVIDENCE, _SERIES_SEQUENCE, _SOP_SEQUENCE = "0040A375", "00081115", "00081199"
_STUDY, _SERIES, _SOP = "0020000D", "0020000E", "00081155"

Reference = tuple[str, str, str]
"""Study, Series and SOP Instance UID."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A note that is in force."""

    note: str
    """SOP Instance UID of the document."""
    study: str
    code: str
    """Of `TITLES`."""
    instances: int
    """That it rejects, stored or not."""


def title_of(attributes: Mapping[str, Any]) -> str | None:
    """The code of the title, of a Key Object Selection that rejects; `attributes` in the DICOM JSON Model."""
    for item in _items(attributes, _TITLE):
        code = _first(item, _CODE)
        if _first(item, _SCHEME) == "DCM" and code in TITLES:
            return code
    return None


def references_of(attributes: Mapping[str, Any]) -> Iterator[Reference]:
    """What the document refers to: Current Requested Procedure Evidence lists it all (PS3.3 C.17.6.2.1)."""
    for study in _items(attributes, _EVIDENCE):
        for series in _items(study, _SERIES_SEQUENCE):
            for instance in _items(series, _SOP_SEQUENCE):
                if sop := _first(instance, _SOP):
                    yield _first(study, _STUDY), _first(series, _SERIES), sop


def _items(attributes: Mapping[str, Any], tag: str) -> Iterator[Mapping[str, Any]]:
    values = attributes.get(tag, {}).get("Value", ())
    return (item for item in values if isinstance(item, dict))


def _first(attributes: Mapping[str, Any], tag: str) -> str:
    return str(next(iter(attributes.get(tag, {}).get("Value", ())), ""))
