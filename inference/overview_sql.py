"""Work and findings of many studies at once, and which studies have a finding: what a worklist asks."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Engine, Row, Select, func, or_, select

from inference.findings_sql import has_successor
from inference.overview import AiState, Label, Overview, ReviewState
from inference.reviews import Verdict
from inference.tables import findings, is_unacknowledged, reviews, signed_reports, work_items
from inference.workitems import FINAL, Outcome, State
from storage.sql.engine import reading

_UNFINISHED = tuple(state for state in State if state not in FINAL)
_WITHOUT_MEANING = (Outcome.SUPERSEDED, Outcome.WITHDRAWN)
_MOST_LABELS = 500
_Rows = defaultdict[str, list[Row[Any]]]


class SqlOverview:
    """Reads the tables of work items and findings."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def of_studies(self, studies: Sequence[str]) -> Mapping[str, Overview]:
        """Study Instance UID → overview; in four statements, however many studies are asked for."""
        if not studies:
            return {}
        with reading(self._engine) as connection:
            work, found, judged, signed = (
                _by_study(connection.execute(query).all())
                for query in (
                    _work_of(studies),
                    _findings_of(studies),
                    _reviews_of(studies),
                    _signed_of(studies),
                )
            )
        return {
            study: _overview(work[study], found[study], judged[study], signed=bool(signed[study]))
            for study in studies
        }

    def studies_with(
        self, *, code: str | None, state: AiState | None, review: ReviewState | None, limit: int
    ) -> tuple[str, ...]:
        """Up to `limit` studies, in no order, among which is every one that is like what is asked.

        States follow from several rows: a study that is here may turn out to be in another.
        """
        found = select(findings.c.study_uid)
        if code is not None:
            query = found.where(findings.c.code_value == code, findings.c.presence == "present")
        elif review is ReviewState.SIGNED:
            query = select(signed_reports.c.study_uid).where(signed_reports.c.stored)
        elif review is ReviewState.JUDGED:
            query = select(reviews.c.study_uid)
        elif review is ReviewState.OPEN or state is AiState.FOUND:
            query = found.where(findings.c.presence != "absent")
        else:
            query = select(work_items.c.study_uid).where(_may_be(state), ~work_items.c.shadow)
        with reading(self._engine) as connection:
            return tuple(connection.scalars(query.distinct().limit(limit)))

    def unacknowledged(self, limit: int) -> tuple[str, ...]:
        """Up to `limit` studies with a critical finding that nobody has acknowledged, the latest first."""
        query = select(findings.c.study_uid).where(is_unacknowledged, ~has_successor())
        query = query.group_by(findings.c.study_uid).order_by(func.max(findings.c.id).desc()).limit(limit)
        with reading(self._engine) as connection:
            return tuple(connection.scalars(query))

    def labels(self) -> tuple[Label, ...]:
        """Every code that was ever found present, in the order of its meaning; without counts."""
        found: list[Label] = []
        with reading(self._engine) as connection:
            # From code to code in the index: reading all findings would take as long as there are many.
            while len(found) < _MOST_LABELS and (row := connection.execute(_next_code(found)).one_or_none()):
                found.append(Label(row.code_value, row.code_scheme, row.code_meaning, 0))
        return tuple(sorted(found, key=lambda label: label.meaning.lower()))


def _work_of(studies: Sequence[str]) -> Select[Any]:
    columns = ("study_uid", "model", "state", "outcome", "progress", "reason")
    counted = or_(work_items.c.outcome.is_(None), work_items.c.outcome.not_in(_WITHOUT_MEANING))
    query = select(*(work_items.c[name] for name in columns)).where(work_items.c.study_uid.in_(studies))
    ours = work_items.c.model != ""  # not the steps that others create for themselves
    return query.where(counted, ours, ~work_items.c.shadow).order_by(work_items.c.created_at)


def _findings_of(studies: Sequence[str]) -> Select[Any]:
    columns = (
        "study_uid",
        "tracking_uid",
        "code_value",
        "code_scheme",
        "code_meaning",
        "presence",
        "score",
        "flags",
        "critical",
        "acknowledged",
    )
    query = select(*(findings.c[name] for name in columns)).where(findings.c.study_uid.in_(studies))
    return query.where(~has_successor()).order_by(findings.c.id)


def _reviews_of(studies: Sequence[str]) -> Select[Any]:
    columns = ("study_uid", "id", "tracking_uid", "verdict", "undoes")
    return select(*(reviews.c[name] for name in columns)).where(reviews.c.study_uid.in_(studies))


def _signed_of(studies: Sequence[str]) -> Select[Any]:
    rows = signed_reports.c
    return select(rows.study_uid).where(rows.study_uid.in_(studies), rows.stored)


def _next_code(found: Sequence[Label]) -> Select[Any]:
    query = select(findings.c.code_value, findings.c.code_scheme, findings.c.code_meaning)
    query = query.where(findings.c.presence == "present").order_by(findings.c.code_value).limit(1)
    return query.where(findings.c.code_value > found[-1].value) if found else query


def _may_be(state: AiState | None) -> ColumnElement[bool]:
    match state:
        case AiState.RUNNING:
            return work_items.c.state.in_(_UNFINISHED)
        case AiState.FAILED | AiState.REFUSED:
            outcome = Outcome.FAILED if state is AiState.FAILED else Outcome.REFUSED
            return work_items.c.state.in_([State.CANCELED]) & (work_items.c.outcome == outcome)
        case _:
            return work_items.c.state.in_([State.COMPLETED])


def _by_study(rows: Sequence[Row[Any]]) -> _Rows:
    grouped: _Rows = defaultdict(list)
    for row in rows:
        grouped[row.study_uid].append(row)
    return grouped


def _overview(
    work: Sequence[Row[Any]], found: Sequence[Row[Any]], said: Sequence[Row[Any]], *, signed: bool
) -> Overview:
    labels = _labels(found)
    state = _state(work, found=bool(labels))
    percents = [100 if row.state in FINAL else row.progress for row in work]
    reasons = dict.fromkeys(
        f"{row.model}: {row.reason}" for row in work if row.outcome in {Outcome.FAILED, Outcome.REFUSED}
    )
    judged, to_judge = _judged(found, said)
    return Overview(
        state,
        progress=sum(percents) // len(percents) if state is AiState.RUNNING else None,
        reasons=tuple(reasons),
        labels=labels,
        flagged=any(row.flags for row in found),
        review=_review_state(judged, to_judge, signed=signed),
        to_judge=to_judge,
        judged=judged,
        critical=sum(row.critical and not row.acknowledged for row in found),
    )


def _judged(found: Sequence[Row[Any]], said: Sequence[Row[Any]]) -> tuple[int, int]:
    """How many findings have a verdict, and how many there are that have or need one."""
    undone = {row.undoes for row in said}
    counts = {row.tracking_uid for row in said if row.verdict != Verdict.UNDO and row.id not in undone}
    added = {row.tracking_uid for row in said if row.verdict == Verdict.MISSED and row.id not in undone}
    need = {row.tracking_uid for row in found if row.presence != "absent"} | added
    return len(need & counts), len(need)


def _review_state(judged: int, to_judge: int, *, signed: bool) -> ReviewState:
    if judged < to_judge:
        return ReviewState.OPEN
    if signed:
        return ReviewState.SIGNED
    return ReviewState.JUDGED if to_judge else ReviewState.NOTHING


def _state(work: Sequence[Row[Any]], *, found: bool) -> AiState:
    if not work:
        return AiState.FOUND if found else AiState.NO_MODEL
    outcomes = {row.outcome for row in work}
    if any(row.state in _UNFINISHED for row in work):
        return AiState.RUNNING
    if Outcome.FAILED in outcomes:
        return AiState.FAILED
    if found:
        return AiState.FOUND
    return AiState.NOTHING if Outcome.RESULTS in outcomes else AiState.REFUSED


def _labels(found: Sequence[Row[Any]]) -> tuple[Label, ...]:
    """What is present, the most certain first."""
    groups: dict[tuple[str, str], list[Row[Any]]] = defaultdict(list)
    for row in found:
        if row.presence == "present":
            groups[row.code_value, row.code_scheme].append(row)
    labels = [
        Label(
            value,
            scheme,
            rows[0].code_meaning,
            len(rows),
            max((r.score for r in rows if r.score is not None), default=None),
        )
        for (value, scheme), rows in groups.items()
    ]
    return tuple(sorted(labels, key=lambda label: -(label.score or 0.0)))
