"""The query parameters of Retrieve Rendered and Thumbnail (PS3.18 8.3.5), checked."""

import re
from dataclasses import dataclass
from typing import Annotated

from fastapi import Query

from dicomweb.annotation import KINDS
from dicomweb.colour_profiles import PROFILES
from dicomweb.documented import Accepting
from dicomweb.media_types import Accept
from dicomweb.problems import BadRequest
from dicomweb.rendered import DEFAULT_QUALITY, THUMBNAIL, Look
from dicomweb.scaling import Viewport
from storage.pixels.grayscale import Function, Window

_FUNCTIONS: dict[str, Function] = {"linear": "LINEAR", "linear-exact": "LINEAR_EXACT", "sigmoid": "SIGMOID"}
_MAX_FRAMES = 1000
_FRAME_NUMBER = re.compile(r"[0-9]{1,9}")
_NUMBERS = 2


@dataclass(frozen=True, slots=True)
class Asked:
    """What one request wants."""

    accept: Accept
    look: Look


def parse_window(text: str) -> Window:
    """Read `center,width[,linear|linear-exact|sigmoid]` (PS3.18 8.3.5.1.4).

    Raises:
        BadRequest: the text is not of that form, or the width is not allowed.
    """
    parts = [part.strip().lower() for part in text.split(",")]
    parts += ["linear"] * (len(parts) == _NUMBERS)
    if len(parts) != _NUMBERS + 1 or parts[-1] not in _FUNCTIONS:
        raise BadRequest("window: expected center,width and one of linear, linear-exact, sigmoid")
    try:
        return Window(float(parts[0]), float(parts[1]), _FUNCTIONS[parts[2]])
    except ValueError as error:
        raise BadRequest(f"window: {error}") from error


def parse_frames(text: str) -> list[int]:
    """Read a list of frame numbers, 1-based (PS3.18 10.1).

    Raises:
        BadRequest: the text is none.
    """
    parts = text.split(",")
    if len(parts) > _MAX_FRAMES or not all(_FRAME_NUMBER.fullmatch(part) for part in parts):
        raise BadRequest(f"frames: expected up to {_MAX_FRAMES} frame numbers separated by commas")
    return [int(part) for part in parts]


def parse_annotation(text: str) -> tuple[str, ...]:
    """Read a list of annotations (PS3.18 8.3.5.1.1).

    Raises:
        BadRequest: one of them is not known.
    """
    kinds = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    if not set(kinds) <= set(KINDS):
        raise BadRequest(f"annotation: expected {' or '.join(KINDS)}, or both with a comma")
    return kinds


async def asked(
    *,
    accept: Accepting,
    window: Annotated[str | None, Query(description="center,width,linear|linear-exact|sigmoid")] = None,
    viewport: Annotated[
        str | None, Query(description="width,height[,x,y,width,height of the region]")
    ] = None,
    quality: Annotated[int, Query(ge=1, le=100, description="where information is lost")] = DEFAULT_QUALITY,
    annotation: Annotated[str | None, Query(description="patient, technique, or both")] = None,
    iccprofile: Annotated[str, Query(description=", ".join(PROFILES))] = "no",
) -> Asked:
    """What a request for a rendered resource wants."""
    if iccprofile not in PROFILES:
        raise BadRequest(f"iccprofile: expected one of {', '.join(PROFILES)}")
    look = Look(
        parse_window(window) if window else None,
        Viewport.parse(viewport) if viewport else None,
        quality,
        parse_annotation(annotation) if annotation else (),
        iccprofile,
    )
    return Asked(accept, look)


async def asked_thumbnail(
    *,
    accept: Accepting,
    viewport: Annotated[str | None, Query(description="width,height; without it 256,256")] = None,
) -> Asked:
    """What a request for a thumbnail wants."""
    shown = Viewport.parse(viewport) if viewport else THUMBNAIL
    # PS3.18 8.3.5.2: a thumbnail is of the whole picture.
    return Asked(accept, Look(viewport=Viewport(shown.width, shown.height)))
