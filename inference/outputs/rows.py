"""Outputs that are tables: one row per candidate, columns named by the card."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.errors import ModelError

HALF = 0.5
"""A pixel reaches this far around its centre, in indices."""
_MATRIX = 2


def finite_rows(name: str, columns: Sequence[str], array: npt.NDArray[Any]) -> Iterator[dict[str, float]]:
    """The rows of an output [N, columns] or [1, N, columns] whose used columns are all numbers.

    Raises:
        ModelError: the array has other columns than the card names.
    """
    rows = array[0] if array.ndim > _MATRIX and array.shape[0] == 1 else array
    if rows.ndim != _MATRIX or rows.shape[1] != len(columns):
        raise ModelError(
            f"output {name!r} has shape {list(array.shape)}, the card names {len(columns)} columns"
        )
    used = [index for index, column in enumerate(columns) if column != "ignore"]
    for row in rows.astype(np.float64):
        if np.isfinite(row[used]).all():
            yield {columns[index]: float(row[index]) for index in used}
