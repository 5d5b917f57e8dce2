"""What others may say of a procedure step, and when (PS3.4 table CC.2.5-3)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from inference.ups import data_set as tags
from inference.ups.elements import Attributes, element, first, items, moment, sequence
from inference.ups.replies import (
    FINAL_STATE_NOT_MET,
    INVALID_VALUE,
    MISSING_ATTRIBUTE,
    MISSING_VALUE,
    NOT_CREATED_SCHEDULED,
    Refused,
)
from inference.workitems import Priority, State
from storage.errors import InvalidInstance
from storage.instances import checked_uid
from storage.moments import read_moment

READINESS_VALUES = frozenset({"READY", "UNAVAILABLE", "INCOMPLETE"})
# Type 1 for whoever creates a step; type 2 may be empty, and those that are missing are taken as that.
_NEEDED = {
    tags.STATE: "Procedure Step State",
    tags.PRIORITY: "Scheduled Procedure Step Priority",
    tags.LABEL: "Procedure Step Label",
    tags.START: "Scheduled Procedure Step Start DateTime",
    tags.READINESS: "Input Readiness State",
}
_EMPTY_WHEN_MISSING = {
    **dict.fromkeys((tags.STATIONS, "00404018", tags.INPUT, "0040A370", "00741210"), "SQ"),
    **dict.fromkeys((tags.PROGRESS_INFORMATION, tags.PERFORMED, "00404026", "00404027"), "SQ"),
    **dict.fromkeys((tags.PATIENT_ID, "00380010"), "LO"),
    "00100010": "PN",
    "00100030": "DA",
    "00100040": "CS",
    tags.STUDY: "UI",
}
_OURS = frozenset({tags.SOP_CLASS, tags.SOP_INSTANCE, tags.STATE, tags.TRANSACTION_UID, "00080005"})
"""Said by us alone: not kept from what others send."""
_NOT_CHANGED = frozenset({tags.STUDY, "00380010", "0040A370"})
# "P" in the column of the final state: needed for COMPLETED.
_PERFORMED_NEEDS = {
    "00404028": "Performed Station Name Code Sequence",
    "00404019": "Performed Workitem Code Sequence",
    "00404050": "Performed Procedure Step Start DateTime",
    "00404051": "Performed Procedure Step End DateTime",
}


def checked_new(attributes: Attributes, now: datetime) -> tuple[Attributes, bool]:
    """The data set of a new procedure step, and whether it is not just as it was sent (B300).

    Raises:
        Refused: an attribute is missing or wrong.
    """
    for tag, name in _NEEDED.items():
        if tag not in attributes:
            raise Refused(MISSING_ATTRIBUTE, f"{name} ({tag[:4]},{tag[4:]}) is missing")
        if not first(attributes, tag):
            raise Refused(MISSING_VALUE, f"{name} ({tag[:4]},{tag[4:]}) has no value")
    if first(attributes, tags.STATE) != State.SCHEDULED:
        raise Refused(NOT_CREATED_SCHEDULED, "Procedure Step State is not SCHEDULED")
    check_values(attributes)
    kept = _kept(attributes) | {tags.MODIFIED: moment(now)}
    modified = not first(kept, tags.WORKLIST)
    if modified:
        kept[tags.WORKLIST] = element("LO", tags.WORKLIST_LABEL)
    for tag, vr in _EMPTY_WHEN_MISSING.items():
        kept.setdefault(tag, element(vr))
    return kept, modified


def checked_changes(attributes: Attributes, now: datetime) -> Attributes:
    """What an update changes (CC.2.6.2).

    Raises:
        Refused: it sets the state, or a value is wrong.
    """
    if tags.STATE in attributes:
        raise Refused(INVALID_VALUE, "Procedure Step State is changed by N-ACTION, not by N-SET (CC.2.6.2)")
    for tag in attributes:
        if tag in _NOT_CHANGED or tag[:4] == "0010":
            raise Refused(INVALID_VALUE, f"({tag[:4]},{tag[4:]}) is not changed by N-SET (table CC.2.5-3)")
    for tag, name in _NEEDED.items():
        if tag in attributes and not first(attributes, tag):
            raise Refused(MISSING_VALUE, f"{name} ({tag[:4]},{tag[4:]}) has no value")
    check_values(attributes)
    return _kept(attributes) | {tags.MODIFIED: moment(now)}


def _kept(attributes: Attributes) -> Attributes:
    return {tag: value for tag, value in attributes.items() if tag not in _OURS and tag >= "00080000"}


def check_values(attributes: Mapping[str, Any]) -> None:
    """Raise `Refused` for a value that the attribute cannot have."""
    priority, readiness = first(attributes, tags.PRIORITY), first(attributes, tags.READINESS)
    if priority and priority not in Priority.__members__:
        raise Refused(INVALID_VALUE, f"{priority[:64]!r} is no Scheduled Procedure Step Priority")
    if readiness and readiness not in READINESS_VALUES:
        raise Refused(INVALID_VALUE, f"{readiness[:64]!r} is no Input Readiness State")
    for tag, value in attributes.items():
        if value.get("BulkDataURI"):
            raise Refused(INVALID_VALUE, f"({tag[:4]},{tag[4:]}) has a value that is not in the data set")
    try:
        if start := first(attributes, tags.START):
            read_moment(start)
        if study := first(attributes, tags.STUDY):
            checked_uid(study, "StudyInstanceUID")
    except (ValueError, OverflowError, InvalidInstance) as error:
        raise Refused(INVALID_VALUE, str(error)) from error


def check_final(attributes: Mapping[str, Any], state: State) -> None:
    """Raise `Refused` (C304) when the data set does not meet the requirements of COMPLETED.

    Those of CANCELED are met by us: see `with_cancellation`.
    """
    if state is not State.COMPLETED:
        return
    performed = items(attributes, tags.PERFORMED)
    if not performed:
        raise Refused(FINAL_STATE_NOT_MET, "UPS Performed Procedure Sequence (0074,1216) has no item")
    for tag, name in _PERFORMED_NEEDS.items():
        if not performed[0].get(tag, {}).get("Value"):
            raise Refused(FINAL_STATE_NOT_MET, f"{name} ({tag[:4]},{tag[4:]}) has no value")
    if tags.OUTPUT not in performed[0]:
        raise Refused(FINAL_STATE_NOT_MET, "Output Information Sequence (0040,4033) is missing")


def with_cancellation(attributes: Attributes, now: datetime, reason: str = "") -> Attributes:
    """The data set with when and why it was canceled, as far as the performer did not say so."""
    progress = next(iter(items(attributes, tags.PROGRESS_INFORMATION)), {})
    told = tags.canceled(reason) | {tags.CANCELED_AT: moment(now)} | progress
    return attributes | {tags.PROGRESS_INFORMATION: sequence(told)}


def results_of(attributes: Mapping[str, Any]) -> tuple[str, ...]:
    """SOP Instance UIDs that the Output Information Sequence names."""
    return tuple(
        first(referenced, "00081155")
        for performed in items(attributes, tags.PERFORMED)
        for output in items(performed, tags.OUTPUT)
        for referenced in items(output, "00081199")
    )
