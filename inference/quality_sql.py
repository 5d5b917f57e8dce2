"""The figures of quality, counted in SQL: any number of reports, a bounded number of rows."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Engine, Select, case, exists, func, or_, select

from inference.inserting import insert_if_absent
from inference.quality import Drift, Figures, Observation, Verdicts
from inference.reviews import Verdict
from inference.tables import findings, observations, reviews
from storage.sql.engine import reading, writing

MOST_ROWS = 10_000
_NAMES = {
    Verdict.ACCEPT: "accepted",
    Verdict.CORRECT: "corrected",
    Verdict.REJECT: "rejected",
    Verdict.MISSED: "missed",
}
_VERSION = (observations.c.model, observations.c.model_version)
_SCANNER = (*_VERSION, observations.c.manufacturer, observations.c.scanner, observations.c.month)
_EDGES: Mapping[str, tuple[float, ...]] = {
    "age": (18, 30, 40, 50, 60, 70, 80, 90),
    "spacing": (0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.5),
    "kvp": (70, 90, 110, 130, 150),
    "score": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
}


class SqlQuality:
    """Keeps observations, and counts."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, seen: Observation) -> bool:
        """Keep an observation; False when that of its report is there already."""
        values = {
            "result_uid": seen.result,
            "model": seen.model,
            "model_version": seen.version,
            "series_uid": seen.series,
            "month": f"{seen.at:%Y-%m}",
            **{name: getattr(seen, name) for name in _SAME},
        }
        with writing(self._engine) as connection:
            return insert_if_absent(connection, observations, values)

    def totals(self, model: str | None = None, since: datetime | None = None) -> tuple[Figures, ...]:
        """Figures per model and version."""
        return self._figures(_VERSION, model, since)

    def by_scanner(self, model: str | None = None, since: datetime | None = None) -> tuple[Figures, ...]:
        """Figures per model, version, scanner and month; the newest months where there are very many."""
        return self._figures(_SCANNER, model, since)

    def drift(self, model: str | None = None, since: datetime | None = None) -> tuple[Drift, ...]:
        """How the inputs and the scores lay, per model, version and month."""
        found: dict[tuple[str, str, str], dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
        with reading(self._engine) as connection:
            for name, query in _binned(_asked(model, since)).items():
                for of, version, month, bin_, count in connection.execute(query.limit(MOST_ROWS)):
                    found[of, version, month][name][bin_] = count
        return tuple(
            Drift(of, version, month, dict(value)) for (of, version, month), value in sorted(found.items())
        )

    def _figures(
        self, by: Sequence[ColumnElement[Any]], model: str | None, since: datetime | None
    ) -> tuple[Figures, ...]:
        row = observations.c
        results = select(*by, func.count(), func.sum(row.findings), func.avg(row.latency)).group_by(*by)
        said = (
            select(*by, reviews.c.verdict, func.count())
            .join(reviews, reviews.c.result_uid == row.result_uid)
            .where(_counts())
            .group_by(*by, reviews.c.verdict)
        )
        with reading(self._engine) as connection:
            asked = _asked(model, since)
            rows = _tuples(connection.execute(results.where(*asked).limit(MOST_ROWS)))
            verdicts = _verdicts(_tuples(connection.execute(said.where(*asked).limit(MOST_ROWS))))
        rows.sort(key=lambda row: row[:-3])
        return tuple(_figure(row, verdicts.get(row[:-3], Verdicts())) for row in rows)


_SAME = ("at", "manufacturer", "scanner", "age", "spacing", "kvp", "findings", "latency")


def _asked(model: str | None, since: datetime | None) -> list[ColumnElement[bool]]:
    row = observations.c
    of_model = [row.model == model] if model is not None else []
    return of_model + ([row.at >= since] if since is not None else [])


def _counts() -> ColumnElement[bool]:
    """The review is the last of its finding that was not undone.

    That others agree with who found what a model missed does not make it less missed.
    """
    later = reviews.alias()
    newer = exists(
        select(1).where(
            later.c.study_uid == reviews.c.study_uid,
            later.c.tracking_uid == reviews.c.tracking_uid,
            later.c.id > reviews.c.id,
            later.c.verdict != Verdict.UNDO,
            ~_undone(later.c.id),
            or_(reviews.c.verdict != Verdict.MISSED, later.c.verdict == Verdict.REJECT),
        )
    )
    return (reviews.c.verdict != Verdict.UNDO) & ~_undone(reviews.c.id) & ~newer


def _undone(number: ColumnElement[int]) -> ColumnElement[bool]:
    undo = reviews.alias()
    return exists(select(1).where(undo.c.undoes == number))


def _tuples(rows: Iterable[Sequence[Any]]) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in rows]


def _verdicts(rows: Sequence[tuple[Any, ...]]) -> dict[tuple[Any, ...], Verdicts]:
    found: dict[tuple[Any, ...], dict[str, int]] = defaultdict(dict)
    for row in rows:
        found[row[:-2]][_NAMES[Verdict(row[-2])]] = row[-1]
    return {key: Verdicts(**counts) for key, counts in found.items()}


def _figure(row: tuple[Any, ...], verdicts: Verdicts) -> Figures:
    *by, results, found, latency = row
    where = dict(zip(("manufacturer", "scanner", "month"), by[2:], strict=False))
    seconds = None if latency is None else float(latency)
    return Figures(by[0], by[1], results, int(found), verdicts, seconds, **where)


def _binned(asked: Sequence[ColumnElement[bool]]) -> dict[str, Select[Any]]:
    """Queries for model, version, month, bin and count, by what is counted."""
    row = observations.c
    by = (*_VERSION, row.month)
    inner = {
        name: select(*by, _bin(column, _EDGES[name]).label("bin")).where(column.is_not(None), *asked)
        for name, column in {"age": row.age, "spacing": row.spacing, "kvp": row.kvp}.items()
    }
    score = select(*by, _bin(findings.c.score, _EDGES["score"]).label("bin"))
    score = score.join(findings, findings.c.result_uid == row.result_uid)
    inner["score"] = score.where(findings.c.score.is_not(None), *asked)
    inner["manufacturer"] = select(*by, row.manufacturer.label("bin")).where(*asked)
    return {name: _counted(query) for name, query in inner.items()}


def _counted(inner: Select[Any]) -> Select[Any]:
    columns = inner.subquery().c
    return select(*columns, func.count()).group_by(*columns)


def _bin(column: ColumnElement[float], edges: Sequence[float]) -> ColumnElement[str]:
    """The bin of a value: its edges as text, the lower one inside."""
    lower = ["", *(f"{edge:g}" for edge in edges)]
    rules = [(column < edge, f"{low}-{edge:g}") for low, edge in zip(lower, edges, strict=False)]
    return case(*rules, else_=f"{edges[-1]:g}-")
