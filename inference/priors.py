"""The other studies of a patient that are stored here, by their date and time."""

from operator import gt, lt

from storage.archive import Archive
from storage.pixels.attributes import Attributes, text
from storage.search import Exact, Match, Query

_STUDY, _DATE, _TIME = "0020000D", "00080020", "00080030"
_PATIENT_ID, _ISSUER = "00100020", "00100021"
_MOST = 200
"""Studies of one patient that are looked at, the newest."""


def earlier_studies(archive: Archive, header: Attributes) -> list[str]:
    """Study Instance UIDs of the patient's studies before that of an image, the newest first.

    The patient is the same where Patient ID and Issuer of Patient ID are (PS3.3 C.7.1.1, Issuer of Patient ID
    Macro). A study without a date is neither earlier nor later than another.

    Args:
        archive: where they are.
        header: DICOM JSON of the image.
    """
    at = _at(header)
    return [uid for when, uid in _of_patient(archive, header) if lt(when, at)]


def later_studies(archive: Archive, header: Attributes) -> list[str]:
    """As `earlier_studies`, those after it, the oldest first: the studies that it may be a prior of."""
    at = _at(header)
    return [uid for when, uid in reversed(_of_patient(archive, header)) if gt(when, at)]


def _of_patient(archive: Archive, header: Attributes) -> list[tuple[tuple[str, str], str]]:
    """Date and time, and UID, of the dated studies of a patient, the newest first."""
    patient = text(header, _PATIENT_ID)
    if not patient or not text(header, _DATE):
        return []
    query = Query("study", (Match(_PATIENT_ID, Exact(patient)),), include=(_ISSUER, _TIME), limit=_MOST)
    found = [
        (_at(answer), text(answer, _STUDY))
        for answer in archive.search(query).answers
        if text(answer, _ISSUER) == text(header, _ISSUER) and text(answer, _DATE)
    ]
    return sorted(found, reverse=True)


def _at(header: Attributes) -> tuple[str, str]:
    return text(header, _DATE), text(header, _TIME)
