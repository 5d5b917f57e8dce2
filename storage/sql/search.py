"""A query as one statement over studies, series and instances, newest study first."""

from typing import Any

from sqlalchemy import Connection, Select, and_, false, literal_column, select

from storage.key_matching import Keys
from storage.search import (
    BY_TAG,
    DEFAULT_LIMIT,
    LEVELS,
    MAX_LIMIT,
    MOST_HEADERS,
    TIME_OF,
    Exact,
    Level,
    Match,
    OneOf,
    Page,
    Query,
    Range,
)
from storage.sql.answers import ANSWERED, answers
from storage.sql.beyond import headers_of
from storage.sql.found import Found
from storage.sql.matching import condition, is_everything
from storage.sql.narrowing import narrowed
from storage.sql.paging import KEYS, Anchors, Key, behind, key_of
from storage.sql.patterns import Column, Condition
from storage.sql.plans import Plans
from storage.sql.rejections import SHOWN, are_there
from storage.sql.tables import instances, series, studies, study_modality
from storage.zones import in_zone

_HEADERS_AT_ONCE = 100
_MODALITIES = "00080061"
_STUDY_DATE = "00080020"

_NEWEST = (studies.c.study_date.desc(), studies.c.id.desc())
_BY_NUMBER = (series.c.number.is_(None), series.c.number, series.c.id)
_ORDER: dict[Level, tuple[Any, ...]] = {
    "study": _NEWEST,
    "series": (*_NEWEST, *_BY_NUMBER),
    "instance": (*_NEWEST, *_BY_NUMBER, instances.c.number.is_(None), instances.c.number, instances.c.id),
}


_BY_MODALITY: list[Column] = [study_modality.c.study_date, study_modality.c.study_id]

_KEYS_BELOW = {"0020000E", "00080018", "00400275.00400009", "00400275.00401001"}
"""Attributes below the study of which an index has the few rows that match."""


def _labelled(*tables: Any) -> list[Any]:
    named = [(f"{table.name}_{column.name}", column) for table in tables for column in table.c]
    return [column.label(name) for name, column in named if column.name == "id" or name in ANSWERED]


def _joined(upper: Any) -> dict[Level, Select[Any]]:
    """The statements of each level; `upper` is the key of a study as its series are joined to it."""
    whole = series.join(studies, upper == series.c.study_id)
    return {
        "study": select(*_labelled(studies)).select_from(studies),
        "series": select(*_labelled(studies, series)).select_from(whole),
        "instance": select(*_labelled(studies, series, instances)).select_from(
            instances.join(whole, instances.c.series_id == series.c.id)
        ),
    }


_ANY_ORDER = _joined(studies.c.id)
# SQLite would read and sort all series there are. The plus keeps it from looking up studies by their keys, so
# that it walks studies, newest first, and stops when it has enough.
_STUDIES_FIRST = _joined(literal_column("+studies.id"))


def run(connection: Connection, query: Query, anchors: Anchors) -> Page:
    """The page of answers to `query`, found from the end of the page before it where `anchors` knows that.

    Raises:
        InvalidQuery: see `condition`.
    """
    limit = min(DEFAULT_LIMIT[query.level] if query.limit is None else max(query.limit, 0), MAX_LIMIT)
    hides = not query.rejected and are_there(connection)
    if query.keys:
        found, more = _matching_headers(connection, query, _selected(connection, query, hides)[0], limit)
        return Page(tuple(answers(connection, query, found, hides=hides)), more=more)
    rows = _rows(connection, query, anchors, limit, hides=hides)
    more = len(rows) > limit
    if more and limit:
        anchors.note(query, max(query.offset, 0) + limit, key_of(query.level, rows, limit - 1))
    return Page(tuple(answers(connection, query, rows.some(0, limit), hides=hides)), more=more)


def _rows(connection: Connection, query: Query, anchors: Anchors, limit: int, *, hides: bool) -> Found:
    """The rows of the page, and one more where there is one."""
    planned = _PLANS.rows(connection, query, limit + 1, hides=hides)
    if planned is not None:
        return planned
    statement, columns = _selected(connection, query, hides)
    if query.offset > 0:
        start = _start(connection, query, anchors, statement, columns)
        if start is None:
            return Found((), ())
        statement = statement.where(behind(columns, start))
    return _found(connection, statement.limit(limit + 1))


def _found(connection: Connection, statement: Select[Any]) -> Found:
    result = connection.execute(statement)
    return Found(list(result.keys()), result.all())


def _matching_headers(
    connection: Connection, query: Query, statement: Select[Any], limit: int
) -> tuple[Found, bool]:
    """The rows whose header has what is asked, and whether there may be more."""
    keys = Keys(query.keys, moments=tuple(TIME_OF.items()), fuzzy=query.fuzzy)
    wanted = max(query.offset, 0) + limit
    candidates = _found(connection, statement.limit(MOST_HEADERS + 1))
    found = candidates.some(0, 0)
    for start in range(0, min(len(candidates), MOST_HEADERS), _HEADERS_AT_ONCE):
        some = candidates.some(start, min(start + _HEADERS_AT_ONCE, MOST_HEADERS))
        read = headers_of(connection, query.level, some)
        zoned = (header if query.zone is None else in_zone(header, query.zone) for header in read)
        found += some.chosen(map(keys.match, zoned))
        if len(found) > wanted:
            return found.some(wanted - limit, wanted), True
    return found.some(wanted - limit, len(found)), len(candidates) > MOST_HEADERS


def _start(
    connection: Connection, query: Query, anchors: Anchors, statement: Select[Any], columns: list[Column]
) -> Key | None:
    """The key of the last row that is passed over; None where there are not so many."""
    at, key = anchors.nearest(query, query.offset)
    if at == query.offset:
        return key
    # Keys alone: an index has them.
    passed = statement.with_only_columns(*columns, maintain_column_froms=True)
    if key is not None:
        passed = passed.where(behind(columns, key))
    last = connection.execute(passed.offset(query.offset - at - 1).limit(1)).one_or_none()
    if last is None:
        return None
    anchors.note(query, query.offset, tuple(last))
    return tuple(last)


def _selected(connection: Connection, query: Query, hides: bool) -> tuple[Select[Any], list[Column]]:
    """The statement, and the columns it is ordered by; `hides`: without what is rejected."""
    here, below = _conditions(connection.dialect.name, query)
    here += narrowed(connection, query)
    if hides:
        here.append(SHOWN[query.level])
    by_key = query.series is not None or any(_is_key_below(match) for match in query.matches)
    if below:
        here.append(_has_below(query.level, below, by_key=by_key))
    by_modality = _drives_by_modality(query)
    columns = _BY_MODALITY if by_modality else KEYS[query.level]
    if query.behind is not None:
        here.append(_behind(connection, query.behind, columns[:2]))
    if by_modality:
        return _modality_first(by_modality, query).where(*here), columns
    walked = connection.dialect.name == "sqlite" and not by_key
    statements = _STUDIES_FIRST if walked else _ANY_ORDER
    return statements[query.level].where(*here).order_by(*_ORDER[query.level]), columns


def _behind(connection: Connection, study: str, columns: list[Column]) -> Condition:
    """What comes after a study, newest first; nothing after one that is not there (any more)."""
    place = select(studies.c.study_date, studies.c.id).where(studies.c.study_uid == study)
    found = connection.execute(place).one_or_none()
    return false() if found is None else behind(columns, tuple(found))


def _conditions(dialect: str, query: Query) -> tuple[list[Condition], list[tuple[Level, Condition]]]:
    """The conditions at the query's level or above, and those on what lies below."""
    here: list[Condition] = []
    below: list[tuple[Level, Condition]] = []
    if query.study is not None:
        here.append(studies.c.study_uid == query.study)
    if query.series is not None:
        here.append(series.c.series_uid == query.series)
    for match in query.matches:
        matched = condition(dialect, match, fuzzy=query.fuzzy)
        level = BY_TAG[match.tag].level
        if matched is None:
            continue
        if LEVELS.index(level) > LEVELS.index(query.level):
            below.append((level, matched))
        elif not (match.tag == _MODALITIES and _drives_by_modality(query)):
            here.append(matched)
    return here, below


def _is_key_below(match: Match) -> bool:
    return (
        match.tag in _KEYS_BELOW and isinstance(match.value, Exact | OneOf) and not is_everything(match.value)
    )


def _has_below(level: Level, below: list[tuple[Level, Condition]], *, by_key: bool) -> Condition:
    """One series or instance has it all (a relational query: PS3.4 C.4.1.2.2.2)."""
    matched = and_(*(condition for _, condition in below))
    if level == "series":
        upper, lower = series.c.id, instances.c.series_id
        inside = select(lower).where(matched)
    else:
        upper, lower = studies.c.id, series.c.study_id
        deep = any(at == "instance" for at, _ in below)
        inside = select(lower).select_from(series.join(instances) if deep else series).where(matched)
    # A key is looked up once, and leads to its study. Anything else is looked for in study after study.
    return upper.in_(inside) if by_key else inside.where(lower == upper).correlate(upper.table).exists()


def _drives_by_modality(query: Query) -> str | None:
    """The modality, when its own table is the best way: its key has the newest of each modality in order."""
    if query.level != "study" or query.study is not None:
        return None
    asked = [match for match in query.matches if not is_everything(match.value)]
    modalities = [match.value for match in asked if match.tag == _MODALITIES]
    if len(modalities) != 1 or any(match.tag not in {_MODALITIES, _STUDY_DATE} for match in asked):
        return None
    value = modalities[0]
    return value.value if isinstance(value, Exact) else None


def _modality_first(modality: str, query: Query) -> Select[Any]:
    statement = (
        select(*_labelled(studies))
        .select_from(study_modality.join(studies))
        .where(study_modality.c.modality == modality)
        .order_by(study_modality.c.study_date.desc(), study_modality.c.study_id.desc())
    )
    for match in query.matches:
        if match.tag == _STUDY_DATE:
            statement = statement.where(*_dates(match))
    return statement


def _dates(match: Match) -> list[Condition]:
    """The same on the repeated date, where the key finds it."""
    column = study_modality.c.study_date
    match match.value:
        case Exact(text) if text:
            return [column == text]
        case Range(low, high):
            return [
                c for c in (column >= low if low else None, column <= high if high else None) if c is not None
            ]
        case OneOf(values) if any(values):
            return [column.in_(values)]
        case _:
            return []


_PLANS = Plans(_selected)
