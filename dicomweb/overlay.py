"""A rendered slice with what was found drawn over it: the masks of a Segmentation, and circles.

Not a service of PS3.18, which leaves it to the viewer; for pages and reports that have none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from fastapi import APIRouter, Query, Response
from PIL import Image, ImageDraw

from dicomweb.masks import HEADERS, RESPONSES, Uid, masks_on, segmentation_of
from dicomweb.pictures import encode
from dicomweb.problems import BadRequest, NotAcceptable
from dicomweb.rendered import DEFAULT_QUALITY, picture, pixel_aspect
from dicomweb.rendered_parameters import parse_window
from dicomweb.scaling import Picture, Viewport, fit
from storage.archive import Archive
from storage.instances import StoredInstance
from storage.pixels.decode import FrameSource, read_attributes
from storage.pixels.errors import UndecodablePixels
from storage.pixels.grayscale import Window
from storage.pixels.segmentation import Mask, Slice

COLOURS = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (213, 94, 0),
    (204, 121, 167),
    (0, 114, 178),
)
"""Told apart by colour-blind readers too (Okabe and Ito); segment n takes the n-th, and round again."""

_FILL = 0.3
_YELLOW = 3
_RIM = (0, 0, 0)
_GEOMETRY, _MAX_RADIUS, _MAX_LABEL, _MAX_MARKS = 3, 10_000, 100, 1000
_PIXELS_PER_LINE_WIDTH = 512


@dataclass(frozen=True, slots=True)
class Mark:
    """A circle around a point, in pixels of the image: (0, 0) is the middle of the first."""

    x: float
    y: float
    radius: float
    label: str = ""


def overlay(
    archive: FrameSource,
    image: StoredInstance,
    segmentation: StoredInstance | None,
    frame: int = 1,
    *,
    marks: Sequence[Mark] = (),
    window: Window | None = None,
    viewport: Viewport | None = None,
    media_type: str = "image/png",
) -> bytes:
    """One slice with masks as outlined half-transparent areas, and marks as circles.

    Args:
        archive: where the instances are stored.
        image: the slice, or a multi-frame image.
        segmentation: whose segments are drawn, where they lie on this slice; each in its colour of `COLOURS`.
        frame: frame number of the image, 1-based.
        marks: circles with their labels.
        window: as in `Look`.
        viewport: as in `Look`.
        media_type: a key of `ENCODERS`.

    Raises:
        UndecodablePixels: image or mask cannot be decoded, or they are not of the same size.
        UnknownInstance: there is no such frame.
    """
    header = read_attributes(archive, image)
    shown = _coloured(picture(archive, image, frame, header, window))
    if segmentation:
        masks = masks_on(archive, Slice(image.key.sop, header, frame), segmentation)
        shown = with_masks(shown, masks)
    if marks:
        shown = with_marks(shown, marks)
    shown = fit(shown, viewport, pixel_aspect(header)) if viewport else shown
    return encode(shown, media_type, DEFAULT_QUALITY)


def with_masks(shown: Picture, masks: dict[int, Mask]) -> Picture:
    """The RGB picture with each mask filled half-transparently and outlined.

    Raises:
        UndecodablePixels: a mask is not of the size of the picture.
    """
    drawn = shown.copy()
    width = _line_width(shown)
    for segment, mask in masks.items():
        if mask.shape != shown.shape[:2]:
            raise UndecodablePixels(
                f"the mask is of {mask.shape}, the image of {shown.shape[:2]} rows and columns"
            )
        colour = np.array(COLOURS[(segment - 1) % len(COLOURS)], np.float32)
        drawn[mask] = np.rint(drawn[mask] * (1 - _FILL) + colour * _FILL).astype(np.uint8)
        drawn[mask & ~_eroded(mask, width)] = colour.astype(np.uint8)
    return drawn


def with_marks(shown: Picture, marks: Sequence[Mark]) -> Picture:
    """The RGB picture with a circle and label for each mark, each in the next of `COLOURS` from yellow on."""
    canvas = Image.fromarray(shown)
    draw = ImageDraw.Draw(canvas)
    width = _line_width(shown)
    for at, mark in enumerate(marks):
        colour = COLOURS[(_YELLOW + at) % len(COLOURS)]
        # A dark rim, so that the line is seen on bone and on air.
        draw.circle((mark.x, mark.y), mark.radius + width, outline=_RIM, width=3 * width)
        draw.circle((mark.x, mark.y), mark.radius, outline=colour, width=width)
        draw.text(
            (mark.x + mark.radius + 4 * width, mark.y),
            mark.label,
            fill=colour,
            anchor="lm",
            font_size=13 * width,
            stroke_width=width,
            stroke_fill=_RIM,
        )
    return np.asarray(canvas)


def _coloured(shown: Picture) -> Picture:
    return np.repeat(shown[..., None], 3, axis=2) if shown.ndim == 2 else shown  # noqa: PLR2004 - rows, columns


def _line_width(shown: Picture) -> int:
    longer: int = max(shown.shape[:2])
    return max(1, round(longer / _PIXELS_PER_LINE_WIDTH))


def _eroded(mask: Mask, width: int) -> Mask:
    """What is more than `width` pixels from the outside; beyond the picture is outside."""
    inner = np.pad(mask, 1)
    for _ in range(width):
        inner[1:-1, 1:-1] &= inner[:-2, 1:-1] & inner[2:, 1:-1] & inner[1:-1, :-2] & inner[1:-1, 2:]
    cut: npt.NDArray[np.bool_] = inner[1:-1, 1:-1]
    return cut


def parse_mark(text: str) -> Mark:
    """Read `x,y,radius[,label]`, in pixels.

    Raises:
        BadRequest: the text is not of that form.
    """
    parts = text.split(",", maxsplit=_GEOMETRY)
    try:
        x, y, radius = (float(part) for part in parts[:_GEOMETRY])
    except ValueError:
        raise BadRequest("mark: expected x,y,radius and perhaps a label") from None
    if not (np.isfinite([x, y]).all() and 0 < radius <= _MAX_RADIUS):
        raise BadRequest(f"mark: the point must be finite and the radius above 0 and up to {_MAX_RADIUS}")
    return Mark(x, y, radius, "".join(parts[_GEOMETRY:])[:_MAX_LABEL])


def overlay_router(archive: Archive) -> APIRouter:
    """The route that shows a slice with a segmentation and marks drawn over it.

    Args:
        archive: where the instances are stored.
    """
    router = APIRouter(tags=["Overlay"])

    @router.get(
        "/overlay/studies/{study}/series/{series}/instances/{sop}",
        summary="A slice with masks and marks drawn over it",
        responses=RESPONSES,
        response_class=Response,
    )
    def drawn(
        *,
        study: Uid,
        series: Uid,
        sop: Uid,
        seg: Annotated[str | None, Query(description="SOP Instance UID of a segmentation")] = None,
        frame: Annotated[int, Query(ge=1, description="Frame of the image, 1-based")] = 1,
        mark: Annotated[list[str] | None, Query(description="x,y,radius[,label] in pixels")] = None,
        window: Annotated[str | None, Query(description="center,width,function as for rendered")] = None,
        viewport: Annotated[str | None, Query(description="width,height[,region] as for rendered")] = None,
    ) -> Response:
        image = archive.instances(study, series, sop)[0]
        try:
            content = overlay(
                archive,
                image,
                segmentation_of(archive, study, seg) if seg else None,
                frame,
                marks=[parse_mark(each) for each in (mark or [])[:_MAX_MARKS]],
                window=parse_window(window) if window else None,
                viewport=Viewport.parse(viewport) if viewport else None,
            )
        except UndecodablePixels as error:
            raise NotAcceptable(f"instance {sop} cannot be shown with its overlay: {error}") from error
        return Response(content, headers=HEADERS, media_type="image/png")

    return router
