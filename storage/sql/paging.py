"""Going on where a page ended: keys of rows in their order, and a memory of them for paging by offset.

To pass over 500,000 rows takes a database a third of a second, for every page again. Going on behind a known
row takes as long as the first page.
"""

import threading
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

from sqlalchemy import BigInteger, and_, func, literal, literal_column, or_, tuple_

from storage.search import Level, Query
from storage.sql.found import Found
from storage.sql.patterns import Column, Condition
from storage.sql.tables import instances, series, studies

Key = tuple[Any, ...]
"""Study Date and key of the study, then number and key of the series, then of the instance."""

_SECONDS = 60
_QUERIES = 256
_PAGES = 32
_NO_NUMBER = 2**31
"""Comes after all numbers of PS3.5 6.2, VR IS."""


def _numbered(table: Any) -> list[Column]:
    return [func.coalesce(table.c.number, literal_column(str(_NO_NUMBER), BigInteger)), table.c.id]


STUDY_KEY: list[Column] = [studies.c.study_date, studies.c.id]
KEYS: dict[Level, list[Column]] = {
    "study": STUDY_KEY,
    "series": STUDY_KEY + _numbered(series),
    "instance": STUDY_KEY + _numbered(series) + _numbered(instances),
}
"""What each level is ordered by: newest study first, then by numbers."""
_NAMES: dict[Level, list[str]] = {
    "study": [],
    "series": ["series"],
    "instance": ["series", "instances"],
}


def key_of(level: Level, rows: Found, row: int) -> Key:
    """The key of one of the rows of a search's statement."""
    below = [(rows.value(row, f"{name}_number"), rows.value(row, f"{name}_id")) for name in _NAMES[level]]
    numbered = (part for number, key in below for part in (_NO_NUMBER if number is None else number, key))
    return (rows.value(row, "studies_study_date"), rows.value(row, "studies_id"), *numbered)


def behind(columns: Sequence[Column], key: Key) -> Condition:
    """What comes after the row that has `key` in `columns`."""
    studies_of, below = tuple_(*columns[:2]), columns[2:]
    study = tuple_(literal(key[0]), literal(key[1], BigInteger))
    if not below:
        return studies_of < study
    place = tuple_(*(literal(part, BigInteger) for part in key[2:]))
    # The first is a range of an index, which the second alone would not be.
    return and_(studies_of <= study, or_(studies_of < study, tuple_(*below) > place))


class Anchors:
    """The ends of pages by query, as many and as long as is worth while.

    A page that goes on from one has neither again what was in the page before it nor a gap, whatever arrived
    or was deleted meanwhile. One that is asked for later is counted anew.
    """

    def __init__(self, seconds: float = _SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._pages: OrderedDict[bytes, OrderedDict[int, tuple[float, Key]]] = OrderedDict()

    def note(self, query: Query, position: int, key: Key) -> None:
        """So many rows end with this one."""
        name = _digest(query)
        with self._lock:
            pages = self._pages.setdefault(name, OrderedDict())
            self._pages.move_to_end(name)
            pages[position] = (self._clock() + self._seconds, key)
            pages.move_to_end(position)
            _shorten(pages, _PAGES)
            _shorten(self._pages, _QUERIES)

    def nearest(self, query: Query, position: int) -> tuple[int, Key | None]:
        """The last known end at or before `position`, and its key; 0 and None where none is known."""
        with self._lock:
            now = self._clock()
            pages = self._pages.get(_digest(query), OrderedDict())
            known = sorted((at, key) for at, (end, key) in pages.items() if end > now)
        at = bisect_right(known, position, key=lambda page: page[0])
        return known[at - 1] if at else (0, None)


def _shorten(entries: OrderedDict[Any, Any], most: int) -> None:
    while len(entries) > most:
        entries.popitem(last=False)


def _digest(query: Query) -> bytes:
    """What tells lists apart; a query may have thousands of values, which are not worth keeping."""
    same = replace(query, offset=0, limit=None, include=(), retrieve_base=None)
    return sha256(repr(same).encode("utf-8", "backslashreplace")).digest()
