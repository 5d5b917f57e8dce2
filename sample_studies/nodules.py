"""Lung nodules and where they may lie."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sample_studies.anatomy import Side, inside_lung
from sample_studies.shapes import Capsule, Point

_APART = 10.0
_CLEAR = 3.0
_THICK_VESSEL = 1.6
_STEP = 0.5
_TRIES = 20_000


@dataclass(frozen=True)
class Nodule:
    """A solid ball."""

    diameter: float
    """mm"""
    pleural: bool = False
    """Whether it sits on the outer wall of the lung rather than in its middle."""
    centre: Point | None = None
    """(x, y, z) in mm in the patient; None lets the phantom's seed choose."""

    @property
    def where(self) -> Point:
        """The centre of a placed nodule.

        Raises:
            ValueError: the nodule was not placed yet.
        """
        if self.centre is None:
            raise ValueError(f"{self} has no place yet")
        return self.centre


def placed(
    nodules: Iterable[Nodule], vessels: Sequence[Capsule], rng: np.random.Generator
) -> tuple[Nodule, ...]:
    """`nodules` with their centres, clear of each other and of vessels thicker than 3 mm.

    Raises:
        ValueError: there is no room for one of them.
    """
    ends = np.array(
        [[*tube.start, *tube.end, tube.radius] for tube in vessels if tube.radius > _THICK_VESSEL]
    ).reshape(-1, 7)
    done: list[Nodule] = []
    for nodule in nodules:
        done.append(nodule if nodule.centre else _place(nodule, done, ends, rng))
    return tuple(done)


def _place(nodule: Nodule, others: Sequence[Nodule], tubes: np.ndarray, rng: np.random.Generator) -> Nodule:
    radius = nodule.diameter / 2
    for _ in range(_TRIES):
        side = Side.RIGHT if rng.random() < 0.5 else Side.LEFT  # noqa: PLR2004 - a coin
        point = side.sign * rng.uniform(15, 130), rng.uniform(-85, 90), rng.uniform(-110, 110)
        if not inside_lung(point, side, margin=radius + _CLEAR):
            continue
        if nodule.pleural:
            point = _to_wall(point, side, radius)
        crowded = any(
            np.linalg.norm(np.subtract(point, other.where)) < radius + other.diameter / 2 + _APART
            for other in others
        )
        if not crowded and _clearance(point, tubes) > radius + _CLEAR:
            return replace(nodule, centre=point)
    raise ValueError(f"no room for {nodule}")


def _to_wall(point: Point, side: Side, radius: float) -> Point:
    """The point moved straight out until a third of the ball's diameter is left in the wall."""
    x, y, z = point
    while inside_lung((x, y, z), side):
        x += side.sign * _STEP
    return x - side.sign * radius / 3, y, z


def _clearance(point: Point, tubes: np.ndarray) -> float:
    if not tubes.size:
        return np.inf
    start, axis = tubes[:, :3], tubes[:, 3:6] - tubes[:, :3]
    offset = np.asarray(point) - start
    along = np.clip((offset * axis).sum(1) / np.maximum((axis * axis).sum(1), 1e-9), 0, 1)
    away = np.linalg.norm(offset - along[:, None] * axis, axis=1)
    return float((away - tubes[:, 6]).min())
