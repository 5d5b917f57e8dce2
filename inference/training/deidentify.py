"""De-identification of one data set (PS3.15 Annex E)."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial

from pydicom import DataElement, Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.multival import MultiValue
from pydicom.uid import PYDICOM_IMPLEMENTATION_UID

from inference.training.profile import CODES, Action, action_for
from inference.training.pseudonyms import Pseudonyms, shifted

REMOVED = "REMOVED"
_DUMMIES = {
    **dict.fromkeys(("LO", "LT", "PN", "SH", "ST", "UC", "UT", "AE", "CS"), REMOVED),
    **dict.fromkeys(("DS", "IS", "FL", "FD", "SL", "SS", "SV", "UL", "US", "UV"), 0),
    **dict.fromkeys(("OB", "OW", "UN"), b"\0\0"),
    "AS": "000Y",
    "DA": "19000101",
    "DT": "19000101000000",
    "TM": "000000",
    "UR": "about:blank",
}
_TEXTS = frozenset({"LO", "LT", "SH", "ST", "UC", "UT"})
_IDENTIFYING = (
    *("PatientName", "PatientID", "OtherPatientIDs", "PatientBirthName", "PatientMotherBirthName"),
    *("AccessionNumber", "InstitutionName", "ReferringPhysicianName", "PerformingPhysicianName"),
    *("OperatorsName", "PhysiciansOfRecord", "NameOfPhysiciansReadingStudy", "RequestingPhysician"),
    *("PatientAddress", "PatientTelephoneNumbers", "StationName", "DeviceSerialNumber"),
)
_PUBLIC_UIDS = ("ClassUID", "CodingSchemeUID", "ContextUID", "ResourceUID", "CreatorUID")
"""Ends of keywords: of what many objects share, although the standard may not define it."""
_REFERENCES = "Referenced"
"""Begins the keywords of sequences that hold UIDs: an empty one would be no valid one."""
_SHORTEST = 4
"""Shorter identifiers are looked for as whole words only."""
_OVERLAYS = range(0x6000, 0x6100)
_OLDEST = 89
"""Ages above are one group: in the highest ages few are alive."""


def patient_of(ds: Dataset) -> str:
    """What names the patient: equal for all studies of one; the study where there is no Patient ID."""
    named = f"{ds.get('PatientID') or ''}\0{ds.get('IssuerOfPatientID') or ''}"
    return named if ds.get("PatientID") else str(ds.get("StudyInstanceUID", ""))


def deidentify(ds: Dataset, pseudonyms: Pseudonyms) -> None:
    """Change a data set so that it names nobody (PS3.15 E.1.1).

    What table E.1-1 names is treated by its action there. Beyond it: private attributes, names of persons and
    values of unknown VR go; dates and UIDs that the table does not name are replaced like those that it does;
    text in which an identifier of this data set stands is replaced as a whole.

    Args:
        ds: with file meta information; pixels stay as they are.
        pseudonyms: what stands for names, UIDs and dates.
    """
    patient = patient_of(ds)
    change = _Change(pseudonyms, pseudonyms.days(patient), _identifiers(ds))
    change.apply(ds)
    ds.PatientID = pseudonyms.name("P", patient)
    ds.PatientName = f"{ds.PatientID}^"
    ds.PatientIdentityRemoved = "YES"
    ds.LongitudinalTemporalInformationModified = "MODIFIED"
    ds.DeidentificationMethod = "Isocenter: PS3.15 Annex E"
    ds.DeidentificationMethodCodeSequence = [_code(*code) for code in CODES]
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    meta.TransferSyntaxUID = ds.file_meta.TransferSyntaxUID
    meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    ds.file_meta, ds.preamble = meta, b"\0" * 128


class _Change:
    def __init__(self, pseudonyms: Pseudonyms, days: timedelta, identifiers: re.Pattern[str] | None) -> None:
        self._by_vr: dict[str, Callable[[str], str]] = {
            "UI": pseudonyms.uid,
            "DA": partial(shifted, days=days),
            "DT": partial(shifted, days=days),
            "AS": _age,
        }
        self._identifiers = identifiers

    def apply(self, ds: Dataset) -> None:
        for tag in list(ds.keys()):
            if tag.is_private or tag.group in _OVERLAYS:
                del ds[tag]
                continue
            try:
                element = ds[tag]
            except (ValueError, KeyError, NotImplementedError, UnicodeError):
                # pydicom reads a value when it is asked for; what it cannot read may name somebody.
                del ds[tag]
                continue
            if not self._treated(element, action_for(int(tag))):
                del ds[tag]

    def _treated(self, element: DataElement, action: Action | None) -> bool:
        """Change the value; False where the attribute must go."""
        if action is Action.REMOVE or (action is None and element.VR in {"PN", "UN"}):
            return False
        if action is Action.EMPTY and not element.keyword.startswith(_REFERENCES):
            element.value = [] if element.VR == "SQ" else None
        elif element.VR == "SQ":
            for item in element.value or ():
                self.apply(item)
        elif action is Action.DUMMY:
            element.value = _DUMMIES.get(element.VR)
        elif action is not None or not element.keyword.endswith(_PUBLIC_UIDS):
            self._replace(element)
        return True

    def _replace(self, element: DataElement) -> None:
        if change := self._by_vr.get(element.VR):
            element.value = _each(element, change)
        elif element.VR in _TEXTS and any(map(self._names, _texts(element))):
            element.value = REMOVED

    def _names(self, text: str) -> bool:
        return self._identifiers is not None and self._identifiers.search(text) is not None


def _each(element: DataElement, change: Callable[[str], str]) -> list[str] | str | None:
    values = [change(text) for text in _texts(element)]
    return values if isinstance(element.value, MultiValue) else next(iter(values), None)


def _texts(element: DataElement) -> list[str]:
    value = element.value
    values: Iterable[object] = value if isinstance(value, MultiValue | list) else [value]
    return [str(each) for each in values if each is not None]


def _age(value: str) -> str:
    years = value[:3]
    return "090Y" if value.endswith("Y") and years.isdigit() and int(years) > _OLDEST else value


def _identifiers(ds: Dataset) -> re.Pattern[str] | None:
    """What finds the identifiers of a data set in its other texts."""
    words = sorted(set(_words(ds)), key=len, reverse=True)
    if not words:
        return None
    patterns = (re.escape(word) if len(word) >= _SHORTEST else rf"\b{re.escape(word)}\b" for word in words)
    return re.compile("|".join(patterns), re.IGNORECASE)


def _words(ds: Dataset) -> Iterator[str]:
    for keyword in _IDENTIFYING:
        with suppress(KeyError, ValueError, UnicodeError):
            element = ds[keyword]
            for text in _texts(element):
                parts: Sequence[str] = re.split(r"[\^=\s]+", text) if element.VR == "PN" else [text]
                yield from (part.strip() for part in parts if len(part.strip()) > 1)


def _code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
    return code
