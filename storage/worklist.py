"""Scheduled procedure steps: the entries of the modality worklist (PS3.4 K.6, PS3.3 C.4.10)."""

import secrets
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from storage.errors import InvalidInstance
from storage.instances import checked_uid
from storage.key_matching import texts

State = Literal["SCHEDULED", "ARRIVED", "READY", "STARTED", "COMPLETED", "DISCONTINUED", "CANCELED"]
"""Scheduled Procedure Step Status (0040,0020); the last three are over."""
STATES: tuple[State, ...] = (
    "SCHEDULED",
    "ARRIVED",
    "READY",
    "STARTED",
    "COMPLETED",
    "DISCONTINUED",
    "CANCELED",
)
OVER = frozenset({"COMPLETED", "DISCONTINUED", "CANCELED"})

STEPS = "00400100"
"""Scheduled Procedure Step Sequence."""
STATUS, STEP_ID, START_DATE, START_TIME = "00400020", "00400009", "00400002", "00400003"
STATION, MODALITY = "00400001", "00080060"
STUDY, ACCESSION, PATIENT_ID = "0020000D", "00080050", "00100020"
_STEP_ATTRIBUTES = frozenset(
    {
        *("Modality", "ScheduledStationAETitle", "ScheduledStationName", "ScheduledPerformingPhysicianName"),
        *(
            "ScheduledProcedureStepStartDate",
            "ScheduledProcedureStepStartTime",
            "ScheduledProcedureStepStatus",
        ),
        *("ScheduledProcedureStepID", "ScheduledProcedureStepDescription", "ScheduledProcedureStepLocation"),
    }
)
"""Keywords of attributes that stand in the Scheduled Procedure Step Sequence."""
_PATIENT_NAME, _PROCEDURE_ID = "00100010", "00401001"
_DESCRIPTION, _PROTOCOL = "00400007", "00400008"
_NEEDED = {_PATIENT_NAME: "PatientName", PATIENT_ID: "PatientID"}
_NEEDED_OF_STEP = {
    STATION: "ScheduledStationAETitle",
    START_DATE: "ScheduledProcedureStepStartDate",
    START_TIME: "ScheduledProcedureStepStartTime",
    MODALITY: "Modality",
}
_DATE_DIGITS = 8


def nested(keys: Iterable[str]) -> dict[str, Any]:
    """Keys or attributes `Keyword=value` as an object by keywords; those of the step go into its sequence."""
    given = {keyword: value for keyword, _, value in (key.partition("=") for key in keys)}
    inner = {keyword: value for keyword, value in given.items() if keyword in _STEP_ATTRIBUTES}
    outer: dict[str, Any] = {key: value for key, value in given.items() if key not in _STEP_ATTRIBUTES}
    return outer | ({"ScheduledProcedureStepSequence": [inner]} if inner else {})


class InvalidStep(ValueError):
    """It is no entry of a worklist; the message names the attribute."""


class TakenStep(Exception):
    """There is an entry with this Study Instance UID and Scheduled Procedure Step ID."""


@dataclass(frozen=True, slots=True)
class ScheduledStep:
    """One entry, with all its attributes in the DICOM JSON Model; `scheduled_step` makes it."""

    attributes: dict[str, Any]

    @property
    def study(self) -> str:
        """Study Instance UID; with `step_id` the key of the entry."""
        return _first(self.attributes, STUDY)

    @property
    def step_id(self) -> str:
        """Scheduled Procedure Step ID."""
        return _first(self.step, STEP_ID)

    @property
    def step(self) -> dict[str, Any]:
        """The item of the Scheduled Procedure Step Sequence."""
        item: dict[str, Any] = self.attributes[STEPS]["Value"][0]
        return item

    @property
    def station(self) -> str:
        """Scheduled Station AE Title, the first of them."""
        return _first(self.step, STATION)

    @property
    def state(self) -> str:
        """Scheduled Procedure Step Status."""
        return _first(self.step, STATUS)

    def now(self, state: State) -> "ScheduledStep":
        """The entry in another state."""
        step = self.step | {STATUS: {"vr": "CS", "Value": [state]}}
        return ScheduledStep(self.attributes | {STEPS: {"vr": "SQ", "Value": [step]}})


def scheduled_step(attributes: Mapping[str, Any]) -> ScheduledStep:
    """An entry of a data set with the type 1 return keys of PS3.4 Table K.6-1.

    Identifiers that it lacks are made: Study Instance UID, IDs of the requested procedure and of the step.

    Raises:
        InvalidStep: something is missing or makes no sense.
    """
    items: list[Any] = (attributes.get(STEPS) or {}).get("Value") or []
    if len(items) != 1 or not items[0]:
        raise InvalidStep("ScheduledProcedureStepSequence needs one item")
    step: dict[str, Any] = dict(items[0])
    _check(attributes, _NEEDED)
    _check(step, _NEEDED_OF_STEP)
    _check_times(step)
    if not texts(step.get(_DESCRIPTION) or {}) and not (step.get(_PROTOCOL) or {}).get("Value"):
        raise InvalidStep("ScheduledProcedureStepDescription or ScheduledProtocolCodeSequence is missing")
    state = _first(step, STATUS) or "SCHEDULED"
    if state not in STATES:
        raise InvalidStep(f"ScheduledProcedureStepStatus is none of {', '.join(STATES)}")
    made = dict(attributes)
    made[STUDY] = {"vr": "UI", "Value": [_study(attributes)]}
    made[_PROCEDURE_ID] = {"vr": "SH", "Value": [_first(attributes, _PROCEDURE_ID) or _id("RP")]}
    step[STEP_ID] = {"vr": "SH", "Value": [_first(step, STEP_ID) or _id("SPS")]}
    step[STATUS] = {"vr": "CS", "Value": [state]}
    made[STEPS] = {"vr": "SQ", "Value": [step]}
    return ScheduledStep(made)


def _study(attributes: Mapping[str, Any]) -> str:
    given = _first(attributes, STUDY)
    try:
        return checked_uid(given, "StudyInstanceUID") if given else f"2.25.{uuid.uuid4().int}"
    except InvalidInstance as error:
        raise InvalidStep(str(error)) from error


def _check(attributes: Mapping[str, Any], needed: Mapping[str, str]) -> None:
    for tag, keyword in needed.items():
        if not texts(attributes.get(tag) or {}):
            raise InvalidStep(f"{keyword} is missing")


def _check_times(step: Mapping[str, Any]) -> None:
    date, time = _first(step, START_DATE), _first(step, START_TIME)
    if len(date) != _DATE_DIGITS or not date.isdigit():
        raise InvalidStep(f"ScheduledProcedureStepStartDate is no date YYYYMMDD: {date[:64]!r}")
    whole, _, fraction = time.partition(".")
    if not whole.isdigit() or len(whole) not in {2, 4, 6} or (fraction and not fraction.isdigit()):
        raise InvalidStep(f"ScheduledProcedureStepStartTime is no time HHMMSS: {time[:64]!r}")


def _first(attributes: Mapping[str, Any], tag: str) -> str:
    return next(iter(texts(attributes.get(tag) or {})), "")


def _id(kind: str) -> str:
    """VR SH, at most 16 characters."""
    return kind + secrets.token_hex(6).upper()
