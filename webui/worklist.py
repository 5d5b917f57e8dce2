"""The list of studies: what was found in each, a page at a time, newest first; what is critical on top."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from inference.overview import AiState, Label, Overview, ReviewState
from storage.archive import Archive
from storage.search import Exact, Match, OneOf, Query, Range, Wildcard

_CANDIDATES = 1000
"""So many studies are looked up by their UIDs; of more, the newest are walked, where matches are near."""
_WALKED = 2000
"""So many studies are looked at for one page; then the page ends, and the next one goes on from there."""
_BATCH = 200
_ON_TOP = 50
"""So many studies with unacknowledged critical findings stand above the others."""
_PRIORS_READ = 500
_UID, _PATIENT_ID, _ISSUER, _DATE = "0020000D", "00100020", "00100021", "00080020"
_INCLUDE = (_ISSUER,)


class Overviews(Protocol):
    """Where work and findings of many studies are read."""

    def of_studies(self, studies: Sequence[str]) -> Mapping[str, Overview]: ...

    def studies_with(
        self, *, code: str | None, state: AiState | None, review: ReviewState | None, limit: int
    ) -> tuple[str, ...]: ...

    def unacknowledged(self, limit: int) -> tuple[str, ...]: ...

    def labels(self) -> tuple[Label, ...]: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """What is looked for; what is empty is not asked for."""

    patient: str = ""
    """Words of the name, in any order."""
    patient_id: str = ""
    accession: str = ""
    first_date: str = ""
    """YYYYMMDD."""
    last_date: str = ""
    modality: str = ""
    code: str | None = None
    """Code value of a finding that is present."""
    state: AiState | None = None
    review: ReviewState | None = None

    @property
    def of_index(self) -> bool:
        """The index alone can tell."""
        return self.code is None and self.state is None and self.review is None

    @property
    def of_absence(self) -> bool:
        """What has no rows in the tables of work and findings is asked for: there are no candidates."""
        return self.code is None and (
            self.state is AiState.NO_MODEL or (self.state is None and self.review is ReviewState.NOTHING)
        )


@dataclass(frozen=True, slots=True)
class Row:
    """One study."""

    uid: str
    attributes: Mapping[str, Any]
    """DICOM JSON of the study level."""
    overview: Overview
    priors: int = 0
    """Earlier studies of the patient."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows, and where to go on."""

    rows: tuple[Row, ...]
    behind: str | None
    """The Study Instance UID to go on behind; None at the end."""
    looked_at: int
    """How many studies were looked at: more than there are rows where few have what is looked for."""


class Worklist:
    """Reads pages of the list."""

    def __init__(self, archive: Archive, overviews: Overviews) -> None:
        self._archive = archive
        self._overviews = overviews

    def labels(self) -> tuple[Label, ...]:
        """What may be asked for as a finding."""
        return self._overviews.labels()

    def page(self, asked: Asked, *, behind: str | None, size: int) -> Page:
        """Up to `size` studies behind the study `behind`, newest first.

        On the first page those with critical findings that nobody has acknowledged come before them.
        """
        on_top = self._overviews.unacknowledged(_ON_TOP)
        page = self._listed(asked, behind, size)
        if not on_top:
            return page
        first = () if behind else self._critical(asked, on_top)
        return replace(page, rows=(*first, *(row for row in page.rows if row.uid not in on_top)))

    def _critical(self, asked: Asked, studies: tuple[str, ...]) -> tuple[Row, ...]:
        matches = (*_matches(asked), Match(_UID, OneOf(studies)))
        found = self._archive.search(Query("study", matches, fuzzy=True, include=_INCLUDE, limit=_ON_TOP))
        rows = [row for row in self._rows(found.answers) if _fits(asked, row.overview)]
        return self._with_priors(rows, None, 0).rows

    def _listed(self, asked: Asked, behind: str | None, size: int) -> Page:
        query = Query("study", _matches(asked), fuzzy=True, include=_INCLUDE, behind=behind)
        if asked.of_index:
            found = self._archive.search(replace(query, limit=size))
            rows = self._rows(found.answers)
            return self._with_priors(rows, rows[-1].uid if found.more else None, len(rows))
        return self._filtered(asked, query, size)

    def _filtered(self, asked: Asked, query: Query, size: int) -> Page:
        if not asked.of_absence:
            few = self._overviews.studies_with(
                code=asked.code, state=asked.state, review=asked.review, limit=_CANDIDATES + 1
            )
            if not few:
                return Page((), None, 0)
            if len(few) <= _CANDIDATES:
                query = replace(query, matches=(*query.matches, Match(_UID, OneOf(few))))
        rows: list[Row] = []
        looked_at, last = 0, None
        for batch, more in self._batches(query):
            for at, row in enumerate(batch):
                if _fits(asked, row.overview):
                    rows.append(row)
                if len(rows) == size:
                    is_last = at + 1 == len(batch) and not more
                    return self._with_priors(rows, None if is_last else row.uid, looked_at + at + 1)
            looked_at += len(batch)
            last = batch[-1].uid if more else None
        return self._with_priors(rows, last, looked_at)

    def _batches(self, query: Query) -> Iterator[tuple[list[Row], bool]]:
        """The studies in batches, and whether there are more behind each."""
        for _ in range(_WALKED // _BATCH):
            page = self._archive.search(replace(query, limit=_BATCH))
            if not page.answers:
                return
            rows = self._rows(page.answers)
            yield rows, page.more
            if not page.more:
                return
            query = replace(query, behind=rows[-1].uid)

    def _rows(self, answers: Sequence[Mapping[str, Any]]) -> list[Row]:
        uids = [str(answer[_UID]["Value"][0]) for answer in answers]
        overviews = self._overviews.of_studies(uids)
        return [Row(uid, answer, overviews[uid]) for uid, answer in zip(uids, answers, strict=True)]

    def _with_priors(self, rows: Sequence[Row], behind: str | None, looked_at: int) -> Page:
        dates = self._dates_of_patients({_patient(row.attributes)[0] for row in rows} - {""})
        counted = [
            replace(
                row,
                priors=sum(date < _text(row.attributes, _DATE) for date in dates[_patient(row.attributes)]),
            )
            for row in rows
        ]
        return Page(tuple(counted), behind, looked_at)

    def _dates_of_patients(self, ids: set[str]) -> dict[tuple[str, str], list[str]]:
        """Patient ID and issuer → the dates of all studies, of which a bounded number is read."""
        dates: dict[tuple[str, str], list[str]] = defaultdict(list)
        if ids:
            matches = (Match(_PATIENT_ID, OneOf(tuple(sorted(ids)))),)
            found = self._archive.search(Query("study", matches, include=_INCLUDE, limit=_PRIORS_READ))
            for answer in found.answers:
                dates[_patient(answer)].append(_text(answer, _DATE))
        return dates


def _fits(asked: Asked, overview: Overview) -> bool:
    has_code = asked.code is None or any(label.value == asked.code for label in overview.labels)
    return has_code and asked.state in {None, overview.state} and asked.review in {None, overview.review}


def _matches(asked: Asked) -> tuple[Match, ...]:
    matches = []
    if asked.patient:
        matches.append(Match("00100010", Wildcard(f"*{asked.patient}*")))
    for tag, value in ((_PATIENT_ID, asked.patient_id), ("00080050", asked.accession)):
        if value:
            matches.append(Match(tag, Wildcard(value) if {"*", "?"} & set(value) else Exact(value)))
    if asked.first_date or asked.last_date:
        matches.append(Match(_DATE, Range(asked.first_date or None, asked.last_date or None)))
    if asked.modality:
        matches.append(Match("00080061", Exact(asked.modality)))
    return tuple(matches)


def _patient(attributes: Mapping[str, Any]) -> tuple[str, str]:
    return _text(attributes, _PATIENT_ID), _text(attributes, _ISSUER)


def _text(attributes: Mapping[str, Any], tag: str) -> str:
    values = attributes.get(tag, {}).get("Value") or [""]
    return str(values[0] or "")
