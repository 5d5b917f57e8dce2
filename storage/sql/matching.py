"""One attribute and what it must be (PS3.4 C.2.2.2), as a condition on columns."""

import re
from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, and_, false, or_, select

from storage.errors import InvalidQuery
from storage.names import normalised
from storage.search import BY_TAG, TIME_OF, DateTimeRange, Empty, Exact, Match, OneOf, Range, Value, Wildcard
from storage.sql.name_matching import has_group_like, is_patient_name, words_in_any_order
from storage.sql.patterns import Column, Condition, case_sensitive, is_universal, like, like_pattern
from storage.sql.tables import instances, series, series_classes, series_requests, studies, study_modality

_LONGEST = 1024
"""Characters; PS3.5 6.2 has no searched value longer than 194."""
_NEVER_STORED = re.compile("[\0\ud800-\udfff]")
_MOST = 10_000
_MOST_COSTLY = 100
"""Values that each need a condition of their own; SQLite takes 1000 terms in all."""
_TOO_GREAT = 2**31


def condition(dialect: str, match: Match, *, fuzzy: bool) -> Condition | None:
    """The condition for `match`; None when every value matches (PS3.4 C.2.2.2.3).

    Raises:
        InvalidQuery: it is not an attribute that is matched, or not in this way.
    """
    check(match)
    if is_everything(match.value):
        return None
    if fuzzy and BY_TAG[match.tag].vr == "PN":
        return _fuzzy_name(dialect, match)
    return _matched(dialect, match.tag, match.value)


def _fuzzy_name(dialect: str, match: Match) -> Condition:
    literally = _matched(dialect, match.tag, match.value)
    if not isinstance(match.value, Exact | Wildcard):
        return literally
    by_words = words_in_any_order(dialect, _COLUMNS[match.tag], _texts(match.value)[0])
    return literally if by_words is None else or_(literally, by_words)


def check(match: Match) -> None:
    """Raise `InvalidQuery` when this is no attribute that is matched, or no value that one could have."""
    attribute = BY_TAG.get(match.tag)
    if attribute is None or not attribute.matched:
        raise InvalidQuery(
            f"{attribute.keyword if attribute else match.tag} is not an attribute to search by"
        )
    keyword, texts = attribute.keyword, _texts(match.value)
    if any(len(text) > _LONGEST or _NEVER_STORED.search(text) for text in texts):
        raise InvalidQuery(f"no {keyword} is that long, or has such characters")
    if len(texts) > _MOST:
        raise InvalidQuery(f"more than {_MOST} values of {keyword}")


def _texts(value: Value) -> tuple[str, ...]:
    match value:
        case Exact(text) | Wildcard(text):
            return (text,)
        case Range(low, high):
            return (low or "", high or "")
        case DateTimeRange(low, high):
            return (*(low or ()), *(high or ()))
        case OneOf(values):
            return values
        case Empty():
            return ()


def is_everything(value: Value) -> bool:
    """Universal matching."""
    match value:
        case Exact(text):
            return not text
        case Wildcard(pattern):
            return is_universal(pattern)
        case Range(low, high):
            return not low and not high
        case DateTimeRange(low, high):
            return low is None and high is None
        case OneOf(values):
            return not any(values)
        case Empty():
            return False


def _matched(dialect: str, tag: str, value: Value) -> Condition:
    if isinstance(value, Empty):
        return _is_empty(tag)
    if isinstance(value, OneOf):
        return _one_of(dialect, tag, value)
    if isinstance(value, Wildcard) and not {"*", "?"} & set(value.pattern):
        value = Exact(value.pattern)
    kind = BY_TAG[tag].vr
    try:
        return _MATCHERS[_SPECIAL.get(tag, kind)](dialect, tag, value)
    except _DoesNotApply:
        raise InvalidQuery(f"{type(value).__name__} does not apply to {BY_TAG[tag].keyword}") from None


def _one_of(dialect: str, tag: str, value: OneOf) -> Condition:
    wanted = [text for text in value.values if text]
    if tag not in _SPECIAL and BY_TAG[tag].vr in _AS_IS:
        return _COLUMNS[tag].in_(wanted)
    if len(wanted) > _MOST_COSTLY:
        raise InvalidQuery(f"more than {_MOST_COSTLY} values of {BY_TAG[tag].keyword}")
    return or_(*(_matched(dialect, tag, Exact(text)) for text in wanted))


def _is_empty(tag: str) -> Condition:
    match _SPECIAL.get(tag, BY_TAG[tag].vr):
        case "IS" | "US":
            return _COLUMNS[tag] == 0 if tag == _FRAMES else _COLUMNS[tag].is_(None)
        case "modalities":
            there = select(study_modality.c.study_id).where(study_modality.c.modality != "")
            return ~there.where(study_modality.c.study_id == studies.c.id).correlate(studies).exists()
        case "request":
            column = _COLUMNS[tag]
            there = select(series_requests.c.series_id).where(column != "")
            return ~there.where(series_requests.c.series_id == series.c.id).correlate(series).exists()
        case "classes":
            return false()
        case _:
            return _COLUMNS[tag] == ""


class _DoesNotApply(Exception):
    pass


_COLUMNS: dict[str, Column] = {
    "00080020": studies.c.study_date,
    "00080030": studies.c.study_time,
    "00080050": studies.c.accession,
    "00080090": studies.c.ref_norm,
    "00081030": studies.c.descr_norm,
    "00100010": studies.c.pn_norm,
    "00100020": studies.c.patient_id,
    "00100021": studies.c.issuer,
    "00100030": studies.c.birth_date,
    "00100040": studies.c.sex,
    "0020000D": studies.c.study_uid,
    "00200010": studies.c.study_label,
    "00080021": series.c.series_date,
    "00080031": series.c.series_time,
    "00080060": series.c.modality,
    "0008103E": series.c.descr_norm,
    "00180015": series.c.body_part,
    "0020000E": series.c.series_uid,
    "00200011": series.c.number,
    "00400244": series.c.pps_start_date,
    "00400245": series.c.pps_start_time,
    "00400275.00400009": series_requests.c.step_id,
    "00400275.00401001": series_requests.c.procedure_id,
    "00080016": instances.c.sop_class,
    "00080018": instances.c.sop_uid,
    "00200013": instances.c.number,
    "00280008": instances.c.number_of_frames,
    "00280010": instances.c.rows,
    "00280011": instances.c.columns,
    "00280100": instances.c.bits_allocated,
}
_FRAMES = "00280008"
_AS_IS = {"SH", "CS", "UI"}
"""Compared as they are: `IN` a list will do."""


def _uid(_: str, tag: str, value: Value) -> Condition:
    if not isinstance(value, Exact):
        raise _DoesNotApply
    return _COLUMNS[tag] == value.value


def _code(dialect: str, tag: str, value: Value) -> Condition:
    return _code_column(dialect, _COLUMNS[tag], value)


def _code_column(dialect: str, column: Column, value: Value) -> Condition:
    match value:
        case Exact(text):
            return column == text
        case Wildcard(pattern):
            return case_sensitive(dialect, column, pattern)
        case _:
            raise _DoesNotApply


def _description(dialect: str, tag: str, value: Value) -> Condition:
    match value:
        case Exact(text):
            return _COLUMNS[tag] == normalised(text)
        case Wildcard(pattern):
            return like(dialect, _COLUMNS[tag], like_pattern(normalised(pattern)))
        case _:
            raise _DoesNotApply


def _date(_: str, tag: str, value: Value) -> Condition:
    column = _COLUMNS[tag]
    match value:
        case Exact(text):
            return column == text
        case Range(low, high):
            # A study without a date is in no range, not even in one that is open to the past.
            bounds = [column >= low if low else column > ""]
            return and_(*bounds, column <= high) if high else bounds[0]
        case DateTimeRange(low, high):
            return _date_and_time(column, _COLUMNS[TIME_OF[tag]], low, high)
        case _:
            raise _DoesNotApply


def _date_and_time(
    date: Column, time: Column, low: tuple[str, str] | None, high: tuple[str, str] | None
) -> Condition:
    """On the first and last day the time decides; who has none is then in no range."""
    bounds = [date > ""]
    if low:
        bounds += [date >= low[0], or_(date > low[0], and_(time > "", time >= low[1].rstrip("0.")))]
    if high:
        bounds += [date <= high[0], or_(date < high[0], and_(time > "", time < f"{high[1]}:"))]
    return and_(*bounds)


def _time(_: str, tag: str, value: Value) -> Condition:
    """A time may be given to the hour, minute, second or less (PS3.5 6.2): `0930` is 09:30:00."""
    column = _COLUMNS[tag]
    match value:
        case Exact(text):
            return column.in_(same_times(text))
        case Range(low, high):
            bounds = [column >= (low or "").rstrip("0."), column > ""]
            # All that starts with the end belongs to it; digits and the dot come before the colon.
            return and_(*bounds, column < f"{high}:") if high else and_(*bounds)
        case _:
            raise _DoesNotApply


def same_times(text: str) -> list[str]:
    """The ways to write a time that differ in zeros at the end only."""
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0")
    if fraction:
        return sorted({f"{whole}.{fraction.ljust(digits, '0')}" for digits in range(len(fraction), 7)})
    padded = whole.ljust(6, "0")
    shorter = [padded[:digits] for digits in (2, 4) if not padded[digits:].strip("0")]
    return [*shorter, padded, *(f"{padded}.{'0' * digits}" for digits in range(1, 7))]


def _integer(_: str, tag: str, value: Value) -> Condition:
    if not isinstance(value, Exact):
        raise _DoesNotApply
    try:
        number = int(value.value)
    except ValueError:
        raise InvalidQuery(f"{BY_TAG[tag].keyword} is a number, not {value.value[:64]!r}") from None
    # What is beyond 32 bits is no number of PS3.5 6.2, and none that the databases compare.
    return _COLUMNS[tag] == number if abs(number) < _TOO_GREAT else false()


def _name(dialect: str, tag: str, value: Value) -> Condition:
    match value:
        case Exact(text) if tag == "00100010":
            return is_patient_name(text)
        case Exact(text) | Wildcard(text):
            return has_group_like(dialect, _COLUMNS[tag], text)
        case _:
            raise _DoesNotApply


def _modalities(dialect: str, _: str, value: Value) -> Condition:
    here = [study_modality.c.study_id == studies.c.id]
    if dialect == "sqlite":
        # The whole key, so that each study costs one look into it. PostgreSQL's planner takes its parts for
        # independent, and would think that hardly any study matches.
        here.append(study_modality.c.study_date == studies.c.study_date)
    asked = _code_column(dialect, study_modality.c.modality, value)
    return select(study_modality.c.study_id).where(*here, asked).correlate(studies).exists()


def _classes(_: str, __: str, value: Value) -> Condition:
    if not isinstance(value, Exact):
        raise _DoesNotApply
    inside = (
        select(series.c.id)
        .select_from(series.join(series_classes))
        .where(series.c.study_id == studies.c.id, series_classes.c.sop_class == value.value)
    )
    return inside.correlate(studies).exists()


def _requests(dialect: str, tag: str, value: Value) -> Condition:
    asked = _code_column(dialect, _COLUMNS[tag], value)
    return series.c.id.in_(select(series_requests.c.series_id).where(asked))


_Matcher = Callable[[str, str, Any], ColumnElement[bool]]
_SPECIAL = {
    "00080061": "modalities",
    "00080062": "classes",
    "00081030": "description",
    "0008103E": "description",
    "00400275.00400009": "request",
    "00400275.00401001": "request",
}
_MATCHERS: dict[str, _Matcher] = {
    "UI": _uid,
    "SH": _code,
    "CS": _code,
    "LO": _code,
    "DA": _date,
    "TM": _time,
    "IS": _integer,
    "US": _integer,
    "PN": _name,
    "modalities": _modalities,
    "classes": _classes,
    "description": _description,
    "request": _requests,
}
