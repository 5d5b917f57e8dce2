"""Matching of person names by their component groups, and by their words."""

from collections.abc import Iterable

from sqlalchemy import and_, func, or_, true

from storage.names import name_groups, words
from storage.sql.patterns import (
    Column,
    Condition,
    inside,
    like,
    like_pattern,
    literal_prefix,
    starts_with,
)
from storage.sql.tables import studies


def is_patient_name(text: str) -> Condition:
    """Each group asked for is a component group of the patient's name as a whole (PS3.5 6.2.1.1)."""
    return _each(_is_patient_group(group) for group in name_groups(text) if group)


def _each(conditions: Iterable[Condition]) -> Condition:
    return and_(true(), *conditions)


def _is_patient_group(group: str) -> Condition:
    name = studies.c.pn_norm
    return or_(
        name == group, starts_with(name, f"{group}="), studies.c.pn_ideo == group, studies.c.pn_phon == group
    )


def has_group_like(dialect: str, column: Column, pattern: str) -> Condition:
    """Each group asked for, with its wild cards, matches a component group of `column` as a whole."""
    return _each(_has_group_like(dialect, column, group) for group in name_groups(pattern) if group)


def _has_group_like(dialect: str, column: Column, pattern: str) -> Condition:
    """The planner of PostgreSQL can judge how common the first two forms are, not the last."""
    if inside(pattern):
        return like(dialect, column, like_pattern(pattern))
    if column is studies.c.pn_norm and dialect == "postgresql" and literal_prefix(pattern) + "*" == pattern:
        return or_(*name_starts(pattern[:-1]))
    return like(dialect, "=" + column + "=", f"%={like_pattern(pattern)}=%")


def name_starts(prefix: str) -> list[Condition]:
    """One for each component group of the patient's name."""
    groups = (studies.c.pn_norm, studies.c.pn_ideo, studies.c.pn_phon)
    return [starts_with(column, prefix) for column in groups]


def words_in_any_order(dialect: str, column: Column, pattern: str) -> Condition | None:
    """All words of a name, each from its beginning; None when that finds no more than the pattern itself."""
    wanted = words(pattern)
    if not wanted or (inside(pattern) and len(wanted) == 1):
        return None
    blanks = " " + func.replace(column, "=", " ", type_=studies.c.pn_norm.type)
    return and_(*(like(dialect, blanks, f"% {like_pattern(word)}%") for word in wanted))
