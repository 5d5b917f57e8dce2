"""A page of lines and text as SVG, PDF or pixels."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from dicomweb.scaling import Picture, Viewport

_POINTS_PER_MM = 72 / 25.4
_PIXELS_PER_MM = 8.0

Colour = tuple[int, int, int]
Points = npt.NDArray[np.float64]
"""(n, 2): millimetres to the right and down from the upper left corner."""


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """Points that are joined."""

    points: Points
    colour: Colour
    width: float
    """Millimetres."""


@dataclass(frozen=True, slots=True)
class Label:
    """Text, with the start of its base line."""

    x: float
    y: float
    text: str
    size: float = 3.5
    """Millimetres."""


@dataclass(slots=True)
class Drawing:
    """A page; what comes later lies on top."""

    width: float
    """Millimetres."""
    height: float
    lines: list[Line] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)

    def svg(self) -> bytes:
        """The page as SVG 1.1, one unit for a millimetre; it loads and runs nothing."""
        return "".join(self._svg()).encode()

    def _svg(self) -> Iterator[str]:
        yield (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width:g}mm" height="{self.height:g}mm" '
            f'viewBox="0 0 {self.width:g} {self.height:g}"><rect width="100%" height="100%" fill="#fff"/>'
        )
        for line in self.lines:
            points = " ".join(f"{x:.2f},{y:.2f}" for x, y in line.points)
            colour = "#{:02x}{:02x}{:02x}".format(*line.colour)
            yield (
                f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{line.width:g}" '
                'stroke-linejoin="round"/>'
            )
        for label in self.labels:
            yield (
                f'<text x="{label.x:g}" y="{label.y:g}" font-family="sans-serif" font-size="{label.size:g}">'
                f"{escape(_printable(label.text))}</text>"
            )
        yield "</svg>"

    def pdf(self) -> bytes:
        """The page as PDF 1.4, at its size; characters beyond Latin-1 become question marks."""
        content = "\n".join(self._operators()).encode("latin-1", "replace")
        size = f"{self.width * _POINTS_PER_MM:.2f} {self.height * _POINTS_PER_MM:.2f}"
        objects = (
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {size}] /Contents 4 0 R "
            "/Resources << /Font << /F 5 0 R >> >> >>".encode(),
            f"<< /Length {len(content)} >>\nstream\n".encode() + content + b"\nendstream",
            b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        )
        return _pdf_file(objects)

    def _operators(self) -> Iterator[str]:
        k = _POINTS_PER_MM
        yield f"{k:.5f} 0 0 {-k:.5f} 0 {self.height * k:.3f} cm 1 j"
        for line in self.lines:
            red, green, blue = (each / 255 for each in line.colour)
            yield f"{red:.3f} {green:.3f} {blue:.3f} RG {line.width:g} w"
            pairs = [f"{x:.3f} {y:.3f}" for x, y in line.points]
            yield f"{pairs[0]} m " + " ".join(f"{pair} l" for pair in pairs[1:]) + " S"
        for label in self.labels:
            text = _printable(label.text)
            for character in "\\()":
                text = text.replace(character, "\\" + character)
            yield f"BT /F {label.size:g} Tf 1 0 0 -1 {label.x:g} {label.y:g} Tm ({text}) Tj ET"

    def picture(self, viewport: Viewport | None = None) -> Picture:
        """The page as pixels, RGB: eight to a millimetre, or as large as fits into the viewport."""
        scale = _PIXELS_PER_MM
        if viewport:
            scale = min(viewport.width / self.width, viewport.height / self.height)
        size = (max(round(self.width * scale), 1), max(round(self.height * scale), 1))
        image = Image.new("RGB", size, "white")
        draw = ImageDraw.Draw(image)
        for line in self.lines:
            points = [(float(x), float(y)) for x, y in line.points * scale]
            draw.line(points, fill=line.colour, width=max(round(line.width * scale), 1))
        for label in self.labels:
            font = ImageFont.load_default(max(label.size * scale, 4))
            draw.text((label.x * scale, label.y * scale), _printable(label.text), "black", font, anchor="ls")
        return np.asarray(image)


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else " " for each in text)


def _pdf_file(objects: tuple[bytes, ...]) -> bytes:
    """A PDF file of numbered objects, the first of which is the catalogue (ISO 32000-1 7.5)."""
    body, offsets = b"%PDF-1.4\n", []
    for number, each in enumerate(objects, 1):
        offsets.append(len(body))
        body += f"{number} 0 obj\n".encode() + each + b"\nendobj\n"
    rows = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    count = len(objects) + 1
    table = f"xref\n0 {count}\n0000000000 65535 f \n{rows}trailer\n<< /Size {count} /Root 1 0 R >>\n"
    return body + f"{table}startxref\n{len(body)}\n%%EOF\n".encode()
