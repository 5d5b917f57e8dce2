"""Rows that a search found."""

from collections.abc import Iterable, Sequence
from typing import Any


class Found:
    """Rows by the names of their columns."""

    def __init__(self, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        self._places = {name: at for at, name in enumerate(names)}
        self._names = names
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def column(self, name: str) -> Sequence[Any]:
        """One value of each row."""
        at = self._places[name]
        return [row[at] for row in self._rows]

    def value(self, row: int, name: str) -> Any:
        """One value of a row."""
        return self._rows[row][self._places[name]]

    def some(self, start: int, end: int) -> "Found":
        """The rows from `start` to before `end`."""
        return Found(self._names, self._rows[start:end])

    def chosen(self, are: Iterable[bool]) -> "Found":
        """Those rows that are."""
        return Found(self._names, [row for row, is_one in zip(self._rows, are, strict=True) if is_one])

    def __add__(self, more: "Found") -> "Found":
        return Found(self._names, [*self._rows, *more._rows])
