"""Fitting a rendered picture into a viewport (PS3.18 8.3.5.1.3)."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from dicomweb.problems import BadRequest

Picture = npt.NDArray[np.uint8]
"""(rows, columns) of grey or (rows, columns, 3) of RGB."""

MAX_VIEWPORT = 8192
_SIZE_ONLY, _WITH_REGION = 2, 6


@dataclass(frozen=True, slots=True)
class Viewport:
    """The size to fit into and the region of the picture to be shown, in pixels.

    A region without width or height reaches to the edge; a negative width or height flips the picture.
    """

    width: int
    height: int
    left: float = 0
    top: float = 0
    region_width: float = 0
    region_height: float = 0

    def __post_init__(self) -> None:
        if not (0 < self.width <= MAX_VIEWPORT and 0 < self.height <= MAX_VIEWPORT):
            raise BadRequest(f"viewport: width and height must be 1 to {MAX_VIEWPORT}")
        if not np.isfinite([self.left, self.top, self.region_width, self.region_height]).all():
            raise BadRequest("viewport: the region is not made of finite numbers")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `vw,vh[,sx,sy,sw,sh]`; an omitted value of the region is its default.

        Raises:
            BadRequest: the text is not of that form.
        """
        parts = [part.strip() for part in text.split(",")]
        if not _SIZE_ONLY <= len(parts) <= _WITH_REGION:
            raise BadRequest("viewport: expected vw,vh or vw,vh,sx,sy,sw,sh")
        try:
            size, region = [int(part) for part in parts[:2]], [float(part or 0) for part in parts[2:]]
        except ValueError:
            raise BadRequest(
                "viewport: expected whole numbers for its size and numbers for its region"
            ) from None
        return cls(*size, *region)


def fit(picture: Picture, viewport: Viewport, aspect: float = 1) -> Picture:
    """The region of the picture, as large as the viewport allows with its proportions kept.

    Args:
        picture: grey or RGB.
        viewport: where it goes.
        aspect: height of a pixel divided by its width.

    Raises:
        BadRequest: the region lies outside the picture.
    """
    shown = _region(picture, viewport)
    rows, columns = shown.shape[:2]
    scale = min(viewport.width / columns, viewport.height / (rows * aspect))
    return _resized(shown, max(1, round(rows * aspect * scale)), max(1, round(columns * scale)))


def _region(picture: Picture, viewport: Viewport) -> Picture:
    down = _span(picture.shape[0], viewport.top, viewport.region_height)
    across = _span(picture.shape[1], viewport.left, viewport.region_width)
    shown = picture[down, across]
    if viewport.region_height < 0:
        shown = shown[::-1]
    return shown[:, ::-1] if viewport.region_width < 0 else shown


def _span(size: int, start: float, extent: float) -> slice:
    first = round(start)
    last = round(start + abs(extent)) if extent else size
    if not 0 <= first < last or first >= size:
        raise BadRequest("viewport: the region lies outside the picture")
    return slice(first, min(last, size))


def _resized(picture: Picture, rows: int, columns: int) -> Picture:
    if picture.shape[:2] == (rows, columns):
        return picture
    # Pillow widens the filter's reach where a picture shrinks, so that no pixel is passed over.
    image = Image.fromarray(np.ascontiguousarray(picture))
    return np.asarray(image.resize((columns, rows), Image.Resampling.BILINEAR, reducing_gap=3))
