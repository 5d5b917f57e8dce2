"""Which studies have findings like these: a search over the tables of findings and reviews."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from sqlalchemy import Engine, func, select

from inference.findings_sql import has_successor
from inference.overview import ReviewState
from inference.overview_sql import SqlOverview
from inference.tables import findings
from storage.sql.engine import reading

_AT_ONCE = 500


class Asked(Protocol):
    """What is asked of the findings of a study; None asks nothing."""

    @property
    def code(self) -> str | None:
        """Code value."""

    @property
    def min_score(self) -> float | None:
        """At least this."""

    @property
    def model(self) -> str | None:
        """Name of a model."""

    @property
    def review(self) -> str | None:
        """A `ReviewState`."""


class SqlStudySearch:
    """Reads findings that no later run replaced, and their reviews."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._overview = SqlOverview(engine)

    def studies_with(self, asked: Asked, limit: int) -> Sequence[str]:
        """Study Instance UIDs, up to `limit`; where a finding is asked for, those found last.

        Findings count where they are present, and a state of review as the worklist shows it.
        """
        review = None if asked.review is None else ReviewState(asked.review)
        if asked.code is None and asked.model is None:
            found = self._overview.studies_with(code=None, state=None, review=review, limit=limit)
        else:
            found = self._found(asked, limit)
        return found if review is None else tuple(self._in_state(found, review))

    def _found(self, asked: Asked, limit: int) -> tuple[str, ...]:
        row = findings.c
        query = select(row.study_uid).where(row.presence == "present", ~has_successor())
        if asked.code is not None:
            query = query.where(row.code_value == asked.code)
        if asked.model is not None:
            query = query.where(row.model == asked.model)
        if asked.min_score is not None:
            query = query.where(row.score >= asked.min_score)
        latest = query.group_by(row.study_uid).order_by(func.max(row.id).desc()).limit(limit)
        with reading(self._engine) as connection:
            return tuple(connection.scalars(latest))

    def _in_state(self, studies: Sequence[str], review: ReviewState) -> Iterator[str]:
        for start in range(0, len(studies), _AT_ONCE):
            overviews = self._overview.of_studies(studies[start : start + _AT_ONCE])
            yield from (study for study, overview in overviews.items() if overview.review is review)
