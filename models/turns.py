"""Whose turn it is: one run of a model at a time, and those that wait for the same go together."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from models.card import Card
from models.errors import ModelError
from models.sessions import Slot

Array = npt.NDArray[Any]


@dataclass(eq=False, slots=True)
class Wanted:
    """One run that somebody waits for."""

    card: Card
    slot: Slot
    inputs: Mapping[str, Array]
    outputs: dict[str, Array] = field(default_factory=dict)
    error: ModelError | None = None
    seconds: float = 0.0
    """What it took: of a batch its share."""
    done: bool = False

    def goes_with(self, other: "Wanted") -> bool:
        """Whether both may be one batch."""
        same = self.slot is other.slot and self.card.digest == other.card.digest
        return same and shapes(self.inputs) == shapes(other.inputs)


def shapes(inputs: Mapping[str, Array]) -> tuple[tuple[int, ...], ...]:
    """In the order of their names."""
    return tuple(inputs[name].shape for name in sorted(inputs))


class Turns:
    """Lets runs wait for each other; safe to share between threads.

    Args:
        execute: carries out runs that are alike, at once, and sets outputs, or error, and seconds of each.
    """

    def __init__(self, execute: Callable[[Sequence[Wanted]], None]) -> None:
        self._execute = execute
        self._turn = threading.Lock()
        self._lock = threading.Lock()
        self.waiting: list[Wanted] = []
        """Runs whose turn has not come."""

    def run(self, wanted: Sequence[Wanted], most: int) -> None:
        """Return when all of `wanted` are done, in batches of at most so many, with what others wait for."""
        with self._lock:
            self.waiting += wanted
        for each in wanted:
            with self._turn:
                if each.done:
                    continue
                together = self._taken(each, most)
                try:
                    self._execute(together)
                except BaseException as error:
                    for one in together:
                        one.error = one.error or ModelError(f"{one.card.name} {one.card.version}: {error}")
                    raise
                finally:
                    for one in together:
                        one.done = True

    def _taken(self, first: Wanted, most: int) -> list[Wanted]:
        with self._lock:
            others = [each for each in self.waiting if each is not first and each.goes_with(first)]
            together = [first, *others[: most - 1]]
            self.waiting = [each for each in self.waiting if each not in together]
        return together
