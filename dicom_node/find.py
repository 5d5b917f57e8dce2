"""C-FIND (PS3.4 C.4.1): searches of the archive, answer by answer."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from dicom_node.contexts import QueryClass, QueryLevel
from dicom_node.identifier import QUERY_RETRIEVE_LEVEL, Attributes, Identifier
from dicom_node.keys import ARCHIVE_LEVEL, PATIENT_COUNTS, Keys, always, number, read_keys, requested
from dicom_node.status import PENDING, PENDING_WITHOUT_SOME_KEYS
from storage.archive import Archive
from storage.search import Exact, Match, Query

_PAGE = 500
_PATIENT_ID, _ISSUER, _PATIENT_NAME, _BIRTH_DATE = "00100020", "00100021", "00100010", "00100030"
_IDENTITY = (_PATIENT_ID, _ISSUER, _PATIENT_NAME, _BIRTH_DATE)
_SERIES_COUNT, _INSTANCE_COUNT = "00201206", "00201208"


class WrongLevel(Exception):
    """The SOP class does not have the Query/Retrieve Level (0008,0052) of the identifier."""


def level_of(model: QueryClass, identifier: Identifier) -> QueryLevel:
    """The level of a request. Raises `WrongLevel`."""
    for level in model.levels:
        if level == identifier.level:
            return level
    given = f"{identifier.level[:16]!r}" if QUERY_RETRIEVE_LEVEL in identifier.attributes else "none"
    raise WrongLevel(f"Query/Retrieve Level is {given}, not one of {', '.join(model.levels)}")


class Find:
    """One search. Keys of all levels are matched (PS3.4 C.4.1.2.2.2), whether or not it was negotiated."""

    def __init__(
        self,
        archive: Archive,
        aet: str,
        model: QueryClass,
        identifier: Identifier,
        *,
        fuzzy: bool = False,
        combined: bool = False,
        rejected: bool = False,
    ) -> None:
        """Read the request.

        Args:
            archive: what is searched.
            aet: our AE title.
            model: the SOP class of the request.
            identifier: of the request.
            fuzzy: match person names by their components (PS3.4 C.2.2.2.1.1).
            combined: match ranges of a date and its time as one (PS3.4 C.2.2.2.5).
            rejected: find what rejection notes take out of use, too.

        Raises:
            WrongLevel: the model does not have the level.
            InvalidQuery: a key does not make sense.
        """
        self._archive = archive
        self._aet = aet
        self._identifier = identifier
        self._level = level_of(model, identifier)
        self._keys: Keys = read_keys(identifier, self._level, combined=combined)
        self._fuzzy = fuzzy
        self._rejected = rejected

    @property
    def pending(self) -> int:
        """The status of each answer."""
        return PENDING if self._keys.all_supported else PENDING_WITHOUT_SOME_KEYS

    def answers(self) -> Iterator[Attributes]:
        """The answers, newest study first, as they are read. Raises `StorageError`."""
        found = self._patients() if self._level == "PATIENT" else self._found(self._query())
        told = always(self._identifier.level, self._aet)
        for each in found:
            yield requested(each, self._identifier) | told

    def _query(self) -> Query:
        include = tuple(tag for tag in self._keys.include if tag not in PATIENT_COUNTS)
        return Query(
            ARCHIVE_LEVEL[self._level],
            self._keys.matches,
            include=include,
            keys=self._keys.moments,
            zone=self._keys.zone,
            required=False,
            fuzzy=self._fuzzy,
            rejected=self._rejected,
            limit=_PAGE,
        )

    def _found(self, query: Query) -> Iterator[dict[str, Any]]:
        offset = 0
        while True:
            page = self._archive.search(replace(query, offset=offset))
            yield from page.answers
            if not page.more:
                return
            offset += len(page.texts)

    def _patients(self) -> Iterator[dict[str, Any]]:
        """One answer for each patient: what the newest study that matches says of him."""
        query = self._query()
        query = replace(query, include=(*query.include, *_IDENTITY))
        seen: set[int] = set()
        for study in self._found(query):
            patient = hash(_identity(study))
            if patient not in seen:
                seen.add(patient)
                yield study | self._counts(study)

    def _counts(self, study: dict[str, Any]) -> Attributes:
        """Of all studies of the patient, where they were asked for."""
        if not set(PATIENT_COUNTS) & set(self._keys.include):
            return {}
        patient = _identity(study)
        id_or_name = _PATIENT_ID if patient[0] else _PATIENT_NAME
        asked = Exact(_text(study, id_or_name))
        counts = [0, 0, 0]
        match = Match(id_or_name, asked)
        of_patient = Query("study", (match,), include=(_ISSUER,), limit=_PAGE, rejected=self._rejected)
        for each in self._found(of_patient):
            if _identity(each) == patient:
                more = (1, _number(each, _SERIES_COUNT), _number(each, _INSTANCE_COUNT))
                counts = [count + one for count, one in zip(counts, more, strict=True)]
        return {
            tag: element
            for name, count in zip(PATIENT_COUNTS, counts, strict=True)
            for tag, element in number(name, count).items()
        }


def _identity(study: dict[str, Any]) -> tuple[str, ...]:
    """What tells patients apart: Patient ID and its issuer; without an ID, name and birth date."""
    patient_id = _text(study, _PATIENT_ID)
    if patient_id:
        return (patient_id, _text(study, _ISSUER))
    return ("", _text(study, _PATIENT_NAME), _text(study, _BIRTH_DATE))


def _text(found: dict[str, Any], tag: str) -> str:
    return Identifier(found, ()).text(tag)


def _number(found: dict[str, Any], tag: str) -> int:
    return int(_text(found, tag) or 0)
