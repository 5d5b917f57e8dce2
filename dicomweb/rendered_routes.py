"""Retrieve Rendered and Thumbnail (PS3.18 10.4): what a client asks for, and the answer with its headers."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from itertools import chain
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Response
from fastapi.responses import StreamingResponse

from dicomweb.media_types import Accept, Offer
from dicomweb.multipart import multipart_type, new_boundary, write_multipart
from dicomweb.problems import BadRequest, NotAcceptable, NotFound
from dicomweb.rendered import (
    DEFAULT_QUALITY,
    ENCODERS,
    THUMBNAIL,
    document,
    media_types,
    middle,
    render,
    representative,
)
from dicomweb.scaling import Viewport
from storage.archive import Archive
from storage.instances import StoredInstance
from storage.pixels.decode import read_attributes
from storage.pixels.description import PixelDescription
from storage.pixels.errors import UndecodablePixels
from storage.pixels.grayscale import Function, Window

_PIPELINE = "1"
"""Part of every ETag: changes when the same request gives another picture."""
_FUNCTIONS: dict[str, Function] = {"linear": "LINEAR", "linear-exact": "LINEAR_EXACT", "sigmoid": "SIGMOID"}
_HEADERS = {
    # Patients' pictures stay out of shared caches.
    "Cache-Control": "private, max-age=300",
    "Vary": "Accept",
    "X-Content-Type-Options": "nosniff",
}
_HTML_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}
_MAX_FRAMES = 1000
_FRAME_NUMBER = re.compile(r"[0-9]{1,9}")
_NUMBERS = 2


@dataclass(frozen=True, slots=True)
class Asked:
    """The parameters of one request, checked (PS3.18 8.3.5)."""

    accept: Accept
    known: str
    window: Window | None = None
    viewport: Viewport | None = None
    quality: int = DEFAULT_QUALITY


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


def _asked(
    *,
    accept: Annotated[str | None, Query(description="Media type, in place of the Accept header")] = None,
    accepted: Annotated[str | None, Header(alias="Accept", include_in_schema=False)] = None,
    known: Annotated[str, Header(alias="If-None-Match", include_in_schema=False)] = "",
    window: Annotated[str | None, Query(description="center,width,linear|linear-exact|sigmoid")] = None,
    viewport: Annotated[
        str | None, Query(description="width,height[,x,y,width,height of the region]")
    ] = None,
    quality: Annotated[int, Query(ge=1, le=100, description="of a JPEG")] = DEFAULT_QUALITY,
) -> Asked:
    return Asked(
        Accept(accepted, accept),
        known,
        parse_window(window) if window else None,
        Viewport.parse(viewport) if viewport else None,
        quality,
    )


def _asked_thumbnail(
    *,
    accept: Annotated[str | None, Query(description="Media type, in place of the Accept header")] = None,
    accepted: Annotated[str | None, Header(alias="Accept", include_in_schema=False)] = None,
    known: Annotated[str, Header(alias="If-None-Match", include_in_schema=False)] = "",
    viewport: Annotated[str | None, Query(description="width,height; without it 256,256")] = None,
) -> Asked:
    shown = Viewport.parse(viewport) if viewport else THUMBNAIL
    # PS3.18 8.3.5.2: a thumbnail is of the whole picture.
    return Asked(Accept(accepted, accept), known, viewport=Viewport(shown.width, shown.height))


def _answer(archive: Archive, instance: StoredInstance, frames: list[int], asked: Asked) -> Response:
    """The rendered frames of one instance, or its document, in the form that is liked best."""
    with _refusing(instance):
        if not instance.number_of_frames:
            return _document(archive, instance, asked)
        if not all(1 <= frame <= instance.number_of_frames for frame in frames):
            raise NotFound(f"the instance has frames 1 to {instance.number_of_frames}")
        several = len(frames) > 1
        offer = asked.accept.choose([Offer(media, multipart=several) for media in ENCODERS])
        headers = _headers(instance, offer.media, frames, asked)
        if headers["ETag"] in asked.known:
            return Response(status_code=304, headers=headers)
        make = partial(
            render,
            archive,
            instance,
            window=asked.window,
            viewport=asked.viewport,
            quality=asked.quality,
            media_type=offer.media,
            header=read_attributes(archive, instance),
        )
        first = make(frames[0])  # whatever is wrong shows here, before the answer begins
        if not several:
            return Response(first, headers=headers, media_type=offer.media)
        boundary = new_boundary()
        parts = chain([first], (make(frame) for frame in frames[1:]))
        body = write_multipart(((offer.media, [part]) for part in parts), boundary)
        return StreamingResponse(body, headers=headers, media_type=multipart_type(offer.media, boundary))


def _document(archive: Archive, instance: StoredInstance, asked: Asked) -> Response:
    header = read_attributes(archive, instance)
    offers = [Offer(media) for media in media_types(instance, header)]
    if not offers:
        PixelDescription.of(header)  # says what is missing, or contradicts itself
        raise UndecodablePixels("its pixel data are shorter than one frame")
    media = asked.accept.choose(offers).media
    headers = _headers(instance, media, [], asked) | (_HTML_HEADERS if media == "text/html" else {})
    if headers["ETag"] in asked.known:
        return Response(status_code=304, headers=headers)
    return Response(document(archive, instance, header), headers=headers, media_type=media)


def _headers(instance: StoredInstance, media: str, frames: list[int], asked: Asked) -> dict[str, str]:
    wanted = (_PIPELINE, instance.digest, media, frames, asked.window, asked.viewport, asked.quality)
    return {**_HEADERS, "ETag": f'"{sha256(repr(wanted).encode()).hexdigest()[:32]}"'}


@contextmanager
def _refusing(instance: StoredInstance) -> Iterator[None]:
    try:
        yield
    except UndecodablePixels as error:
        raise NotAcceptable(f"instance {instance.key.sop} has no rendered form: {error}") from error


_Asked = Annotated[Asked, Depends(_asked)]
_Small = Annotated[Asked, Depends(_asked_thumbnail)]
_Uid = Annotated[str, Path(pattern=r"^[0-9.]{1,64}$")]
_Frames = Annotated[str, Path(description="Frame numbers, 1-based, separated by commas")]
_PICTURE: dict[str, Any] = {media: {} for media in ENCODERS}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": _PICTURE | {"multipart/related": {}, "application/pdf": {}, "text/html": {}}},
    304: {"description": "The picture the client has is the current one"},
    400: {"description": "A parameter is malformed; the problem names it"},
    404: {"description": "There is no such study, series, instance or frame"},
    406: {
        "description": "No acceptable media type, or nothing that can be rendered; the problem has the reason"
    },
}


_SERIES = "/studies/{study}/series/{series}"
_INSTANCE = "/studies/{study}/series/{series}/instances/{sop}"
_FRAME_LIST = f"{_INSTANCE}/frames/{{frames}}"
_Handler = Callable[..., Response]


def rendered_router(archive: Archive) -> APIRouter:
    """The routes of Retrieve Rendered and Retrieve Thumbnail below a DICOMweb root.

    Args:
        archive: where the instances are stored.
    """
    router = APIRouter(tags=["Rendered"])
    _add_rendered(router, archive)
    _add_thumbnails(router, archive)
    return router


def _get(router: APIRouter, path: str, summary: str) -> Callable[[_Handler], _Handler]:
    return router.get(path, summary=summary, responses=_RESPONSES, response_class=Response)


def _of_many(archive: Archive, asked: Asked, study: str, series: str | None = None) -> Response:
    chosen = representative(archive.instances(study, series))
    return _answer(archive, chosen, [middle(chosen)], asked)


def _add_rendered(router: APIRouter, archive: Archive) -> None:
    @_get(router, "/studies/{study}/rendered", "A picture that stands for the study")
    def study_rendered(study: _Uid, asked: _Asked) -> Response:
        return _of_many(archive, asked, study)

    @_get(router, f"{_SERIES}/rendered", "A picture that stands for the series")
    def series_rendered(study: _Uid, series: _Uid, asked: _Asked) -> Response:
        return _of_many(archive, asked, study, series)

    @_get(router, f"{_INSTANCE}/rendered", "The first frame as a picture, or the document")
    def instance_rendered(study: _Uid, series: _Uid, sop: _Uid, asked: _Asked) -> Response:
        return _answer(archive, archive.instances(study, series, sop)[0], [1], asked)

    @_get(router, f"{_FRAME_LIST}/rendered", "Frames as pictures")
    def frames_rendered(study: _Uid, series: _Uid, sop: _Uid, frames: _Frames, asked: _Asked) -> Response:
        return _answer(archive, archive.instances(study, series, sop)[0], parse_frames(frames), asked)


def _add_thumbnails(router: APIRouter, archive: Archive) -> None:
    @_get(router, "/studies/{study}/thumbnail", "A small picture of the study")
    def study_thumbnail(study: _Uid, asked: _Small) -> Response:
        return _of_many(archive, asked, study)

    @_get(router, f"{_SERIES}/thumbnail", "A small picture of the series")
    def series_thumbnail(study: _Uid, series: _Uid, asked: _Small) -> Response:
        return _of_many(archive, asked, study, series)

    @_get(router, f"{_INSTANCE}/thumbnail", "A small picture of the instance")
    def instance_thumbnail(study: _Uid, series: _Uid, sop: _Uid, asked: _Small) -> Response:
        instance = archive.instances(study, series, sop)[0]
        return _answer(archive, instance, [middle(instance)], asked)

    @_get(router, f"{_FRAME_LIST}/thumbnail", "Small pictures of frames")
    def frames_thumbnail(study: _Uid, series: _Uid, sop: _Uid, frames: _Frames, asked: _Small) -> Response:
        return _answer(archive, archive.instances(study, series, sop)[0], parse_frames(frames), asked)
