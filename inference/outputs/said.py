"""What one output of one run says."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.findings import Code, Finding
from inference.prepare import Run
from models.errors import ModelError


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What one run of the model gave; label maps already on the grid of the stored frames."""

    run: Run
    outputs: Mapping[str, npt.NDArray[Any]]
    maps: Mapping[str, npt.NDArray[np.uint8]]
    """[frame, row, column] by output."""

    def without_input(self) -> "Answer":
        """The same, with the model's input let go of."""
        return replace(self, run=replace(self.run, inputs={}))


@dataclass(frozen=True, slots=True)
class Said:
    """Findings, what was looked for, and what must be said about the findings."""

    findings: tuple[Finding, ...] = ()
    looked_for: tuple[Code, ...] = ()
    flags: tuple[str, ...] = ()


def element(array: npt.NDArray[Any], index: tuple[int, ...], name: str) -> float:
    """One number of the output `name`, axes of length 1 in front left out.

    Raises:
        ModelError: there is none at that place.
    """
    array = array.reshape(-1) if array.ndim == 0 else array
    while array.ndim > len(index) and array.shape[0] == 1:
        array = array[0]
    if array.ndim != len(index) or any(at >= size for at, size in zip(index, array.shape, strict=True)):
        raise ModelError(f"output {name!r} has shape {list(array.shape)}: there is no element {list(index)}")
    return float(array[index])
