"""Which studies of another archive are the priors that a rule wants."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from storage.pixels.attributes import Attributes, text, values

STUDY_UID, STUDY_DATE, MODALITIES = "0020000D", "00080020", "00080061"
PATIENT_ID, ISSUER, MODALITY, BODY_PART = "00100020", "00100021", "00080060", "00180015"
_DIFFERENT = 2


@dataclass(frozen=True, slots=True)
class Wanted:
    """What makes a study a prior worth having."""

    same_modality: bool
    same_body_part: bool
    max_age: timedelta
    """Before the study that has come."""
    max_studies: int


def candidates(
    wanted: Wanted, arrived: Attributes, found: Iterable[Attributes], today: date
) -> list[Attributes]:
    """Studies of the same patient that are old enough and not too old, the latest first.

    Args:
        wanted: the rule.
        arrived: header of an instance of the study that has come.
        found: answers at STUDY level.
        today: taken where the study has no date.
    """
    at = _date(text(arrived, STUDY_DATE)) or today
    fitting = [
        each
        for each in found
        if text(each, STUDY_UID) not in {"", text(arrived, STUDY_UID)}
        and (when := _date(text(each, STUDY_DATE))) is not None
        and at - wanted.max_age <= when <= at
        and (not wanted.same_modality or text(arrived, MODALITY) in values(each, MODALITIES))
        and _same_issuer(arrived, each)
    ]
    return sorted(fitting, key=lambda each: text(each, STUDY_DATE), reverse=True)


def _same_issuer(one: Attributes, other: Attributes) -> bool:
    """Not known to be different: an archive that does not keep issuers does not answer with one."""
    issuers = {text(one, ISSUER), text(other, ISSUER)} - {""}
    return len(issuers) < _DIFFERENT


def shows_same_part(arrived: Attributes, series: Iterable[Attributes]) -> bool:
    """A series is of the body part of what has come; where nobody says which, it may be."""
    part = text(arrived, BODY_PART).upper()
    parts = {text(each, BODY_PART).upper() for each in series}
    return not part or not parts - {""} or part in parts


def _date(value: str) -> date | None:
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None
