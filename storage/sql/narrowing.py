"""Which index finds names and descriptions: candidates by their letters, or for common ones a walk by date.

SQLite cannot know that "*mit*" is in every tenth name: it would collect and sort them all. So candidates are
counted first, up to a bound; beyond it the newest studies are walked, where matches are not far. PostgreSQL's
planner sees the same by itself, once it is told what every match contains.
"""

from typing import Any

from sqlalchemy import (
    CompoundSelect,
    Connection,
    Select,
    and_,
    func,
    literal_column,
    or_,
    select,
    table,
    text,
    union_all,
)

from storage.names import name_groups, normalised, words
from storage.search import Empty, Exact, Match, Query, Wildcard
from storage.sql.matching import is_everything
from storage.sql.name_matching import name_starts, words_in_any_order
from storage.sql.patterns import (
    Column,
    Condition,
    inside,
    like,
    like_pattern,
    literal_prefix,
    trigram_runs,
)
from storage.sql.tables import studies

_FEW = 1_000
_NAME, _DESCRIPTION = "00100010", "00081030"
_COLUMNS: dict[str, Column] = {_NAME: studies.c.pn_norm, _DESCRIPTION: studies.c.descr_norm}
_SELECTIVE = {"0020000D", "0020000E", "00080018", "00100020", "00080050", "00080020"}
"""A date or an exact key leaves so few studies that reading them beats any other index."""


def narrowed(connection: Connection, query: Query) -> list[Condition]:
    """Conditions that the matches of `query` imply, and that an index can answer."""
    if query.study or query.series or any(_is_selective(match) for match in query.matches):
        return []
    asked = [m for m in query.matches if m.tag in _COLUMNS and isinstance(m.value, Exact | Wildcard)]
    implied = [_implied(m, fuzzy=query.fuzzy) for m in asked if not is_everything(m.value)]
    return [
        condition
        for one in implied
        if one is not None and (condition := one.if_worth_it(connection)) is not None
    ]


def _is_selective(match: Match) -> bool:
    is_some = not isinstance(match.value, Wildcard | Empty) and not is_everything(match.value)
    return match.tag in _SELECTIVE and is_some


class _Prefix:
    """All matches start with this, in one of the component groups."""

    def __init__(self, prefix: str, pattern: str) -> None:
        self._ranges = name_starts(prefix)
        self._is_all = pattern == f"{prefix}*"

    def if_worth_it(self, connection: Connection) -> Condition | None:
        if connection.dialect.name == "postgresql":
            # Said twice, the planner would think it twice as rare.
            return None if self._is_all else or_(*self._ranges)
        found = union_all(*(select(studies.c.id).where(here) for here in self._ranges))
        return studies.c.id.in_(found) if _are_few(connection, found) else None


class _Contains:
    """All matches contain these pieces of three characters or more.

    `is_all`: what matches is a LIKE of the column itself, which the index of trigrams answers as it is.
    """

    def __init__(self, tag: str, pieces: list[str], *, is_all: bool) -> None:
        self._column = _COLUMNS[tag]
        self._pieces = pieces
        self._is_all = is_all

    def if_worth_it(self, connection: Connection) -> Condition | None:
        if connection.dialect.name == "postgresql":
            if self._is_all:
                # Said twice, the planner would think it twice as rare: 150 ms in place of 1.
                return None
            each = (f"%{like_pattern(piece)}%" for piece in self._pieces)
            return and_(*(like("postgresql", self._column, pattern) for pattern in each))
        index = table(f"studies_{self._column.name}")
        phrases = " AND ".join('"' + piece.replace('"', '""') + '"' for piece in self._pieces)
        matching = text(f"{index.name} MATCH :phrases").bindparams(phrases=phrases)
        found: Select[Any] = select(literal_column("rowid")).select_from(index).where(matching)
        return studies.c.id.in_(found) if _are_few(connection, found) else None


def _are_few(connection: Connection, candidates: Select[Any] | CompoundSelect[Any]) -> bool:
    bounded = candidates.limit(_FEW + 1).subquery()
    return connection.execute(select(func.count()).select_from(bounded)).scalar_one() <= _FEW


def _implied(match: Match, *, fuzzy: bool) -> _Prefix | _Contains | None:
    value = match.value
    pattern = value.value if isinstance(value, Exact) else getattr(value, "pattern", "")
    if fuzzy and match.tag == _NAME:
        # Literal matches contain the words too.
        runs = [word for piece in words(pattern) for word in trigram_runs(piece)]
        in_any_order = words_in_any_order("postgresql", studies.c.pn_norm, pattern)
        return _contains(match.tag, runs, is_all=in_any_order is None and inside(pattern) is not None)
    if isinstance(value, Exact):
        return None
    if match.tag == _DESCRIPTION:
        return _contains(match.tag, trigram_runs(normalised(pattern)), is_all=True)
    return _of_name(pattern)


def _of_name(pattern: str) -> _Prefix | _Contains | None:
    groups = [group for group in name_groups(pattern) if group]
    if len(groups) != 1:
        runs = [run for group in groups for run in trigram_runs(group)]
        return _contains(_NAME, runs, is_all=all(inside(group) for group in groups))
    prefix = literal_prefix(groups[0])
    if prefix:
        return _Prefix(prefix, groups[0])
    return _contains(_NAME, trigram_runs(groups[0]), is_all=inside(groups[0]) is not None)


def _contains(tag: str, pieces: list[str], *, is_all: bool) -> _Contains | None:
    return _Contains(tag, pieces, is_all=is_all) if pieces else None
