"""Modality performed procedure steps (PS3.4 F.7): what a modality says it does and has done."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from storage.key_matching import texts

STATUS = "00400252"
"""Performed Procedure Step Status."""
IN_PROGRESS = "IN PROGRESS"
FINAL = frozenset({"COMPLETED", "DISCONTINUED"})

_SCHEDULED, _PERFORMED_SERIES = "00400270", "00400340"
_STUDY, _SERIES, _STEP_ID = "0020000D", "0020000E", "00400009"
_IMAGES, _OTHERS, _SOP_INSTANCE = "00081140", "00400220", "00081155"
# Table F.7.2-1: type 1 in an N-CREATE, and type 1 in the final state.
_NEEDED = ("00400253", "00400241", "00400244", "00400245", STATUS, "00080060")
_NEEDED_AT_END = ("00400250", "00400251")
_NEEDED_OF_SERIES = (_SERIES, "00181030")
_FIXED = frozenset(
    # Relationship, patient, and what the step started with: not allowed in an N-SET (Table F.7.2-1).
    {_SCHEDULED, "00100010", "00100020", "00100021", "00100030", "00100040", "00081120", "00400253"}
    | {"00400241", "00400242", "00400243", "00400244", "00400245", "00080060", "00200010"}
)


class MissingAttribute(Exception):
    """Attributes are absent."""

    def __init__(self, *tags: str) -> None:
        super().__init__(f"missing: {', '.join(tags)}")
        self.tags = tags


class MissingValue(MissingAttribute):
    """Attributes have no value."""


class WrongValue(Exception):
    """The Performed Procedure Step Status is not one that is allowed now."""


@dataclass(frozen=True, slots=True)
class PerformedStep:
    """One step."""

    sop: str
    """SOP Instance UID."""
    attributes: dict[str, Any]
    """All of it, in the DICOM JSON Model."""
    peer: str = ""
    """AE title of the modality."""
    version: int = 1
    """Grows with every change."""

    @property
    def state(self) -> str:
        """Performed Procedure Step Status."""
        return _first(self.attributes, STATUS)

    @property
    def scheduled(self) -> set[tuple[str, str]]:
        """Study Instance UID and Scheduled Procedure Step ID of the steps it is the performance of."""
        items = _items(self.attributes, _SCHEDULED)
        return {(_first(item, _STUDY), step) for item in items if (step := _first(item, _STEP_ID))}

    @property
    def study(self) -> str:
        """Study Instance UID."""
        return next((_first(item, _STUDY) for item in _items(self.attributes, _SCHEDULED)), "")

    def series(self) -> dict[str, list[str]]:
        """SOP Instance UIDs of what was made, by Series Instance UID."""
        found: dict[str, list[str]] = {}
        for item in _items(self.attributes, _PERFORMED_SERIES):
            referenced = [*_items(item, _IMAGES), *_items(item, _OTHERS)]
            sops = [sop for each in referenced if (sop := _first(each, _SOP_INSTANCE))]
            if uid := _first(item, _SERIES):
                found.setdefault(uid, []).extend(sops)
        return found


def started(sop: str, attributes: Mapping[str, Any], peer: str) -> PerformedStep:
    """The step of an N-CREATE.

    Raises:
        MissingAttribute, MissingValue: of type 1.
        WrongValue: it is not in progress (F.7.2.1.3).
    """
    scheduled = list(_items(attributes, _SCHEDULED))
    if _SCHEDULED not in attributes:
        raise MissingAttribute(_SCHEDULED)
    if not scheduled or not all(_first(item, _STUDY) for item in scheduled):
        raise MissingValue(_SCHEDULED)
    _check(attributes, _NEEDED)
    step = PerformedStep(sop, dict(attributes), peer)
    if step.state != IN_PROGRESS:
        raise WrongValue(f"Performed Procedure Step Status is {step.state[:16]!r}, not {IN_PROGRESS}")
    return step


def changed(step: PerformedStep, changes: Mapping[str, Any]) -> tuple[PerformedStep, tuple[str, ...]]:
    """A step in progress after an N-SET, and the tags of what could not be changed and was left as it is.

    Raises:
        MissingAttribute, MissingValue: it is to end, and has not what the final state needs.
        WrongValue: its new status does not exist.
    """
    left = tuple(tag for tag in changes if tag in _FIXED and changes[tag] != step.attributes.get(tag))
    taken = {tag: element for tag, element in changes.items() if tag not in _FIXED}
    after = PerformedStep(step.sop, step.attributes | taken, step.peer, step.version + 1)
    if after.state not in {IN_PROGRESS, *FINAL}:
        raise WrongValue(f"Performed Procedure Step Status is {after.state[:16]!r}")
    if after.state in FINAL:
        _check_end(after.attributes)
    return after, left


def _check_end(attributes: Mapping[str, Any]) -> None:
    _check(attributes, _NEEDED_AT_END)
    series = list(_items(attributes, _PERFORMED_SERIES))
    if not series:
        raise MissingValue(_PERFORMED_SERIES)
    for item in series:
        _check(item, _NEEDED_OF_SERIES)


def _check(attributes: Mapping[str, Any], needed: tuple[str, ...]) -> None:
    if absent := [tag for tag in needed if tag not in attributes]:
        raise MissingAttribute(*absent)
    if empty := [tag for tag in needed if not texts(attributes[tag])]:
        raise MissingValue(*empty)


def _items(attributes: Mapping[str, Any], tag: str) -> Iterator[Mapping[str, Any]]:
    return (item or {} for item in (attributes.get(tag) or {}).get("Value", ()))


def _first(attributes: Mapping[str, Any], tag: str) -> str:
    return next(iter(texts(attributes.get(tag) or {})), "")
