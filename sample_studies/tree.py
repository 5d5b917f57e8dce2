"""The branching of airways and pulmonary vessels: tubes that halve their blood at each fork."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sample_studies.anatomy import CARINA, HILA, Side, inside_lung
from sample_studies.shapes import Capsule

Vector = npt.NDArray[np.float64]

# Murray's law for a fork into two equal branches: r_child = r_parent / 2^(1/3).
_MURRAY = 2 ** (-1 / 3)
_TRUNKS = ((0.35, -0.15, 1.0), (0.5, -1.0, 0.35), (1.0, 0.2, 0.15), (0.55, -0.6, -1.0), (0.5, 0.7, -0.9))
_TRUNK_RADIUS, _VEIN_RADIUS = 4.5, 3.8
_THINNEST = 0.75
_WALL = 0.9
_LOBAR_AIRWAY = 4.0
_THINNEST_AIRWAY = 1.6


@dataclass(frozen=True)
class Trees:
    """Tubes of one patient."""

    vessels: tuple[Capsule, ...]
    """Pulmonary arteries and veins, and the walls of the airways in the lung."""
    conducting: tuple[Capsule, ...]
    """Lumina of trachea and main bronchi: airway, not lung, in the truth."""
    small_airways: tuple[Capsule, ...]
    """Lumina of the bronchi within the lung: they count as lung."""


def grow(rng: np.random.Generator) -> Trees:
    """Airways and vessels of both lungs; the same generator state gives the same trees."""
    vessels: list[Capsule] = []
    conducting = [Capsule((0, 26, 170), CARINA, 8.5)]
    small: list[Capsule] = []
    for side in Side:
        sign = side.sign
        hilum = HILA[side]
        conducting.append(Capsule(CARINA, hilum, 6.0))
        for trunk in _TRUNKS:
            heading = _unit(np.array([sign * trunk[0], trunk[1], trunk[2]]) + rng.normal(0, 0.08, 3))
            start = np.array(hilum) + 6 * heading
            vessels += _branches(rng, side, start, heading, _TRUNK_RADIUS)
            across = _across(rng, heading)
            vessels += _branches(rng, side, start - 12 * across, _unit(heading - 0.4 * across), _VEIN_RADIUS)
            beside = start + 8.5 * across
            small.append(Capsule(hilum, _point(beside), _LOBAR_AIRWAY))
            small += _branches(rng, side, beside, heading, _LOBAR_AIRWAY, thinnest=_THINNEST_AIRWAY)
    walls = [Capsule(tube.start, tube.end, tube.radius + _WALL) for tube in (*conducting[1:], *small)]
    return Trees(tuple(vessels + walls), tuple(conducting), tuple(small))


def _branches(
    rng: np.random.Generator,
    side: Side,
    start: Vector,
    heading: Vector,
    radius: float,
    *,
    thinnest: float = _THINNEST,
) -> list[Capsule]:
    tubes: list[Capsule] = []
    growing = [(start, heading, radius)]
    while growing:
        start, heading, radius = growing.pop()
        end = start + (5 + 3.5 * radius) * rng.uniform(0.8, 1.2) * heading
        tubes.append(Capsule(_point(start), _point(end), radius))
        if radius * _MURRAY < thinnest or not inside_lung(_point(end), side):
            continue
        across = _across(rng, heading)
        for turn in (1, -1):
            angle = np.radians(rng.uniform(18, 42))
            turned = _unit(np.cos(angle) * heading + turn * np.sin(angle) * across)
            growing.append((end, turned, radius * _MURRAY * rng.uniform(0.92, 1.04)))
    return tubes


def _across(rng: np.random.Generator, heading: Vector) -> Vector:
    return _unit(np.cross(heading, rng.normal(size=3)))


def _unit(vector: Vector) -> Vector:
    return np.asarray(vector / np.linalg.norm(vector))


def _point(vector: Vector) -> tuple[float, float, float]:
    return float(vector[0]), float(vector[1]), float(vector[2])
