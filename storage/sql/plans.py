"""Searches that ask alike share one statement: its text is made once, and each gives it its own values.

To make a statement and to look up its text takes SQLAlchemy several times as long as the common ones take in
the database.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Select

from storage.errors import InvalidQuery
from storage.search import Exact, Match, Query, Range
from storage.sql.found import Found
from storage.sql.matching import check
from storage.sql.prepared import run

Make = Callable[[Connection, Query, bool], tuple[Select[Any], Any]]
_MOST = 256
_LIMIT = 1_987_654_321
_SIGN = "\N{SECTION SIGN}"


@dataclass(frozen=True, slots=True)
class _Plan:
    sql: str
    columns: Sequence[str]
    names: Sequence[str] | None
    """Of the placeholders; None where they have places."""
    sources: Sequence[int | None]
    """By placeholder: which value of the query it takes, None for its own."""
    own: Sequence[Any]


class Plans:
    """Statements of searches for single values and ranges that the index has as they are asked for."""

    def __init__(self, make: Make) -> None:
        """`make` gives the statement of a query, which may hide what is rejected."""
        self._make = make
        self._plans: dict[Any, _Plan | None] = {}

    def rows(self, connection: Connection, query: Query, limit: int, *, hides: bool) -> Found | None:
        """Up to `limit` rows; None when the query is one that needs a statement of its own.

        Raises:
            InvalidQuery: see `check`.
        """
        shape = _shape(query)
        if shape is None:
            return None
        key = (connection.dialect.name, shape, hides)
        if key not in self._plans:
            if len(self._plans) >= _MOST:
                self._plans.clear()
            self._plans[key] = self._planned(connection, query, hides)
        plan = self._plans[key]
        if plan is None:
            return None
        for match in query.matches:
            check(match)
        given = [*_values(query), limit]
        values = [own if at is None else given[at] for at, own in zip(plan.sources, plan.own, strict=True)]
        parameters = values if plan.names is None else dict(zip(plan.names, values, strict=True))
        return Found(plan.columns, run(connection, plan.sql, parameters, answers=True))

    def _planned(self, connection: Connection, query: Query, hides: bool) -> _Plan | None:
        """The plan of all queries of this shape; None when the index is not asked for their very values."""
        marked, marks = _marked(query)
        try:
            statement = self._make(connection, marked, hides)[0].limit(_LIMIT)
        except InvalidQuery:
            return None
        made: Any = statement.compile(dialect=connection.dialect, compile_kwargs={"render_postcompile": True})
        names = list(made.positiontup) if made.positional else list(made.params)
        own = [made.params[name] for name in names]
        places = {mark: at for at, mark in enumerate([*marks, _LIMIT])}
        sources = [places.get(value) for value in own]
        if set(sources) - {None} != set(places.values()) or any(map(_is_made_of_mark, own, sources)):
            return None
        columns = [column.name for column in statement.selected_columns]
        return _Plan(str(made), columns, None if made.positional else names, sources, own)


def _shape(query: Query) -> Any:
    """What two queries of one plan have in common; None where values make a difference to the statement."""
    if query.fuzzy or query.keys or query.offset > 0 or query.behind is not None:
        return None
    parts: list[tuple[str, bool, bool]] = []
    for match in query.matches:
        match match.value:
            case Exact(text) if text:
                parts.append((match.tag, True, False))
            case Range(low, high) if low and high:
                parts.append((match.tag, True, True))
            case _:
                return None
    return (query.level, query.study is None, query.series is None, *parts)


def _values(query: Query) -> list[str]:
    values = [uid for uid in (query.study, query.series) if uid is not None]
    for match in query.matches:
        match match.value:
            case Exact(text):
                values.append(text)
            case Range(low, high):
                values += [low or "", high or ""]
    return values


def _marked(query: Query) -> tuple[Query, list[str]]:
    """The query with marks for its values, and these in the order of `_values`."""
    # Whatever is done to a value is seen on them: accent, blank, capital or closing zero would go.
    marks = [f" Äa{number}{_SIGN}0." for number in range(len(_values(query)))]
    next_mark = iter(marks).__next__
    study, series = (None if uid is None else next_mark() for uid in (query.study, query.series))
    matches = (
        Match(
            each.tag, Range(next_mark(), next_mark()) if isinstance(each.value, Range) else Exact(next_mark())
        )
        for each in query.matches
    )
    return replace(query, study=study, series=series, matches=tuple(matches)), marks


def _is_made_of_mark(value: Any, source: int | None) -> bool:
    return source is None and isinstance(value, str) and _SIGN in value
