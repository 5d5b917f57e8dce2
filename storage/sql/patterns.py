"""Patterns of DICOM wild card matching (PS3.4 C.2.2.2.4) in the words of the two databases."""

import re
from typing import Any

from sqlalchemy import ColumnElement, and_, literal

Column = ColumnElement[Any]
Condition = ColumnElement[bool]

_WILD = re.compile(r"[*?]+")
_TRIGRAM = 3
_SURROGATES = 0xD800, 0xDFFF
_LAST = 0x10FFFF


def like_pattern(pattern: str) -> str:
    """`*` and `?` as LIKE writes them; `%`, `_` and the backslash stand for themselves."""
    escaped = re.sub(r"([%_\\])", r"\\\1", pattern)
    return escaped.replace("*", "%").replace("?", "_")


def like(dialect: str, column: Column, pattern: str) -> Condition:
    """`column` LIKE an already escaped pattern."""
    # PostgreSQL knows the backslash by itself, and uses its indexes only without an ESCAPE clause.
    return column.like(pattern) if dialect == "postgresql" else column.like(pattern, escape="\\")


def case_sensitive(dialect: str, column: Column, pattern: str) -> Condition:
    """Wild card matching of codes and numbers; SQLite's LIKE would ignore the case."""
    if dialect == "postgresql":
        matched = like(dialect, column, like_pattern(pattern))
    else:
        matched = column.op("GLOB", is_comparison=True)(pattern.replace("[", "[[]"))
    prefix = literal_prefix(pattern)
    return and_(starts_with(column, prefix), matched) if prefix else matched


def starts_with(column: Column, prefix: str) -> Condition:
    """The range of all values that start with `prefix`: what an index finds, in both databases."""
    return and_(column >= literal(prefix), column < literal(_after(prefix)))


def _after(prefix: str) -> str:
    """The first string behind all that start with `prefix`, by code points."""
    kept = prefix.rstrip(chr(_LAST))
    following = ord(kept[-1]) + 1
    if following == _SURROGATES[0]:
        following = _SURROGATES[1] + 1
    return kept[:-1] + chr(following)


def literal_prefix(pattern: str) -> str:
    """What every match starts with."""
    return _WILD.split(pattern, maxsplit=1)[0].rstrip(chr(_LAST))


def trigram_runs(pattern: str) -> list[str]:
    """What every match contains, as far as an index of trigrams can find it."""
    return [run for run in _WILD.split(pattern) if len(run) >= _TRIGRAM]


def inside(pattern: str) -> str | None:
    """What a value must contain, when the pattern asks for no more."""
    found = re.fullmatch(r"\*+([^*?]+)\*+", pattern)
    return found[1] if found else None


def is_universal(pattern: str) -> bool:
    """Only `*`: every value matches, and none (PS3.4 C.2.2.2.4)."""
    return not pattern.strip("*")
