"""Reads what people measured with viewers of others: TID 1500 reports, as those write them.

Taken as they come: codes or free text, regions in the group (TID 1410) or below a number (TID 300).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydicom import Dataset

from inference.findings import Code, Measurement
from inference.naming import finding_code
from inference.records import Region

MOST_GROUPS = 500
_FREE_TEXT = frozenset({"CORNERSTONEJS", "CST4"})
"""Coding Scheme Designators under which Cornerstone writes what was typed."""
_NOBODY = frozenset({"", "unknown"})
_CORNERS = 24
_LEAST_CORNERS = 3


@dataclass(frozen=True, slots=True)
class Drawn:
    """One measurement group of a report of somebody else."""

    tracking_uid: str
    code: Code | None
    """What it is; None where nothing says so."""
    measurements: tuple[Measurement, ...]
    region: Region | None
    sop: str | None
    """The image it is on, also where there is no region that is kept."""
    frame: int


def observer(sr: Dataset) -> str | None:
    """Who answers for a report: verifying observer, else person observer; empty where it names nobody.

    None for what a device observed: that is no review.
    """
    for verifying in sr.get("VerifyingObserverSequence") or ():
        if name := _known(verifying.get("VerifyingObserverName")):
            return name
    items = list(_content(sr))
    names = (_known(item.get("PersonName")) for item in items if _is(item, "121008"))
    name = next((each for each in names if each), "")
    kinds = {str(item.ConceptCodeSequence[0].CodeValue) for item in items if _is(item, "121005")}
    return None if not name and "121007" in kinds else name


def drawn(sr: Dataset) -> list[Drawn]:
    """The measurement groups, at most `MOST_GROUPS`; those that make no sense are left out."""
    containers = (item for item in _content(sr) if _is(item, "126010"))
    groups = [group for each in containers for group in _content(each) if _is(group, "125007")]
    return [_drawn(group) for group in groups[:MOST_GROUPS]]


def _drawn(group: Dataset) -> Drawn:
    items = list(_content(group))
    numbers = [item for item in items if item.get("ValueType") == "NUM" and _is_number(item)]
    inner = [each for item in numbers for each in _content(item)]
    graphic = next((each for each in [*items, *inner] if each.get("ValueType") == "SCOORD"), None)
    shown = list(_content(graphic)) if graphic is not None else items
    image = next((each for each in shown if each.get("ValueType") == "IMAGE"), None)
    reference = image.ReferencedSOPSequence[0] if image is not None else Dataset()
    sop, frame = reference.get("ReferencedSOPInstanceUID"), _frame(reference)
    return Drawn(
        next((str(item.UID) for item in items if _is(item, "112040")), ""),
        _finding(items),
        tuple(_measurement(item) for item in numbers),
        _region(graphic, str(sop), frame) if graphic is not None and sop else None,
        str(sop) if sop else None,
        frame,
    )


def _finding(items: Sequence[Dataset]) -> Code | None:
    codes = [item for item in items if _is(item, "121071")]
    code = next((_code(item.ConceptCodeSequence[0]) for item in codes if "ConceptCodeSequence" in item), None)
    texts = (str(item.get("TextValue") or "") for item in [*codes, *items] if _is(item, "121071", "121106"))
    words = next((text for text in texts if text.strip()), "")
    if code is None or code.scheme in _FREE_TEXT:
        typed = code.meaning if code else words
        return finding_code(typed.strip()[:64], ()) if typed.strip() else None
    return code


def _region(graphic: Dataset, sop: str, frame: int) -> Region | None:
    flat = [float(value) for value in graphic.get("GraphicData") or ()]
    points = list(zip(flat[::2], flat[1::2], strict=False))
    if not points or not all(map(math.isfinite, flat)):
        return None
    match graphic.get("GraphicType"):
        case "POINT":
            return Region("point", sop, frame, points[0])
        case "CIRCLE" if len(points) > 1:
            radius = math.dist(*points[:2])
            return Region("polygon", sop, frame, _ellipse(points[0], (radius, 0), (0, radius)))
        case "ELLIPSE" if len(points) > _LEAST_CORNERS:
            return Region("polygon", sop, frame, _four_points(points))
        case "POLYLINE" if len(points) > 1:
            return _outline(points, sop, frame)
    return None


def _outline(points: list[tuple[float, float]], sop: str, frame: int) -> Region | None:
    is_closed = points[0] == points[-1]
    corners = points[:-1] if is_closed else points
    columns, rows = zip(*corners, strict=True)
    edges = (min(columns), min(rows), max(columns), max(rows))
    outer = {(x, y) for x in edges[::2] for y in edges[1::2]}
    if len(corners) == len(outer) == len(set(corners) & outer):
        return Region("box", sop, frame, edges)
    flat = tuple(value for corner in corners for value in corner)
    if not is_closed:
        return Region("line", sop, frame, flat)
    return Region("polygon", sop, frame, flat) if len(corners) >= _LEAST_CORNERS else None


def _four_points(points: list[tuple[float, float]]) -> tuple[float, ...]:
    """Ends of the major and of the minor axis (PS3.3 C.18.6.1.2)."""
    (a, b), (c, d) = points[:2], points[2:4]
    centre = ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2)
    return _ellipse(centre, ((b[0] - a[0]) / 2, (b[1] - a[1]) / 2), ((d[0] - c[0]) / 2, (d[1] - c[1]) / 2))


def _ellipse(
    centre: tuple[float, float], major: tuple[float, float], minor: tuple[float, float]
) -> tuple[float, ...]:
    angles = (2 * math.pi * step / _CORNERS for step in range(_CORNERS))
    return tuple(
        centre[axis] + major[axis] * math.cos(angle) + minor[axis] * math.sin(angle)
        for angle in angles
        for axis in (0, 1)
    )


def _content(item: Dataset) -> Iterator[Dataset]:
    yield from item.get("ContentSequence") or ()


def _is(item: Dataset, *values: str) -> bool:
    names = item.get("ConceptNameCodeSequence") or ()
    return any(str(name.get("CodeValue")) in values for name in names)


def _is_number(item: Dataset) -> bool:
    return bool(item.get("MeasuredValueSequence")) and bool(item.get("ConceptNameCodeSequence"))


def _measurement(item: Dataset) -> Measurement:
    value = item.MeasuredValueSequence[0]
    units = value.get("MeasurementUnitsCodeSequence")
    unit = _code(units[0]) if units else Code("1", "UCUM", "no units")
    return Measurement(_code(item.ConceptNameCodeSequence[0]), float(value.NumericValue), unit)


def _code(item: Dataset) -> Code:
    return Code(str(item.CodeValue), str(item.CodingSchemeDesignator), str(item.CodeMeaning)[:64])


def _frame(reference: Dataset) -> int:
    number = reference.get("ReferencedFrameNumber") or 1
    return int(number[0] if isinstance(number, Sequence) and not isinstance(number, str) else number)


def _known(name: object) -> str:
    text = str(name or "").strip().rstrip("^")
    return "" if text.split("^")[0].strip().casefold() in _NOBODY else text
