"""Text burnt into a picture: who it is of, and how it was made (PS3.18 8.3.5.1.1)."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dicomweb.scaling import Picture
from storage.pixels.attributes import Attributes, text, value

KINDS = ("patient", "technique")
"""What `annotation` may name."""

_LEAST_FONT, _LINES_PER_PICTURE = 8, 34
_LONGEST = 64
_TABLES: Mapping[str, tuple[tuple[str, str, str], ...]] = MappingProxyType(
    {
        "patient": (
            ("", "00100010", ""),
            ("ID ", "00100020", ""),
            ("born ", "00100030", ""),
            ("", "00100040", ""),
            ("study ", "00080020", ""),
            ("accession ", "00080050", ""),
        ),
        "technique": (
            ("", "00080080", ""),
            ("", "0008103E", ""),
            ("", "00080060", ""),
            ("", "00180060", " kV"),
            ("", "00181151", " mA"),
            ("", "00181152", " mAs"),
            ("TR ", "00180080", " ms"),
            ("TE ", "00180081", " ms"),
            ("slice ", "00180050", " mm"),
            ("image ", "00200013", ""),
        ),
    }
)
"""Lines by kind: what stands before the value, its tag, what stands behind."""


def lines(header: Attributes, kind: str) -> list[str]:
    """The lines of one of `KINDS`; what the object does not say is left out."""
    shown = ((before, _shown(header, tag), behind) for before, tag, behind in _TABLES[kind])
    return [f"{before}{each[:_LONGEST]}{behind}" for before, each, behind in shown if each]


def _shown(header: Attributes, tag: str) -> str:
    found: Any = value(header, tag)
    if isinstance(found, Mapping):
        return str(found.get("Alphabetic", "")).replace("^", " ").strip()
    return text(header, tag)


def annotated(picture: Picture, header: Attributes, kinds: Sequence[str]) -> Picture:
    """The picture with its annotations: the patient above on the left, the technique below."""
    if not kinds:
        return picture
    image = Image.fromarray(np.ascontiguousarray(picture))
    draw = ImageDraw.Draw(image)
    size = max(image.height // _LINES_PER_PICTURE, _LEAST_FONT)
    font = ImageFont.load_default(size)
    for kind in kinds:
        block = lines(header, kind)
        top = size // 2 if kind == "patient" else image.height - size // 2 - round(1.25 * size * len(block))
        _write(draw, block, font, top, size)
    return np.asarray(image)


def _write(
    draw: ImageDraw.ImageDraw,
    block: Iterable[str],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    top: int,
    size: int,
) -> None:
    white, black = (255, 0) if draw.mode == "L" else ((255,) * 3, (0,) * 3)
    for number, line in enumerate(block):
        place = (size // 2, top + round(1.25 * size * number))
        draw.text(place, line, fill=white, font=font, stroke_width=1, stroke_fill=black)
