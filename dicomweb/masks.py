"""The masks of a Segmentation, decoded: on one slice as a picture, on all slices of a series as runs.

Not a service of PS3.18, which leaves it to the viewer; for pages that have none.
"""

import json
from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import chain, islice
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import StreamingResponse
from PIL import Image

from dicomweb.problems import NotAcceptable, NotFound
from storage.archive import Archive
from storage.instances import StoredInstance
from storage.pixels.attributes import integer
from storage.pixels.decode import FrameSource, decode_frame, read_attributes
from storage.pixels.errors import UndecodablePixels
from storage.pixels.segmentation import Mask, Slice, Slices, frames_on, segment_masks

HEADERS = {"Cache-Control": "private, max-age=300", "X-Content-Type-Options": "nosniff"}
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/png": {}}},
    400: {"description": "A parameter is malformed; the problem names it"},
    404: {"description": "There is no such instance, frame or segmentation"},
    406: {"description": "Image or mask cannot be shown; the problem has the reason"},
}
Uid = Annotated[str, Path(pattern=r"^[0-9.]{1,64}$")]
_Segmentation = Annotated[str, Query(description="SOP Instance UID of a segmentation")]
_SEGMENTATIONS = frozenset({"1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"})
_RUNS: dict[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["sop_uid", "frame", "segment", "runs"],
        "properties": {
            "sop_uid": {"type": "string"},
            "frame": {"type": "integer"},
            "segment": {"type": "integer"},
            "runs": {"type": "array", "items": {"type": "integer"}},
        },
    },
}


def masks_on(archive: FrameSource, shown: Slice, segmentation: StoredInstance) -> dict[int, Mask]:
    """Segment number → its mask on a slice; segments that are not on it are left out.

    Raises:
        UndecodablePixels: a frame of the segmentation cannot be decoded.
    """
    header = read_attributes(archive, segmentation)
    found: dict[int, Mask] = {}
    for number in frames_on(shown, header, segmentation.number_of_frames):
        decoded = decode_frame(archive, segmentation, number, header)
        for segment, mask in segment_masks(decoded.samples, header, number).items():
            found[segment] = found[segment] | mask if segment in found else mask
    return {segment: mask for segment, mask in sorted(found.items()) if mask.any()}


def masks_of_series(
    archive: FrameSource, images: Sequence[StoredInstance], segmentation: StoredInstance
) -> Iterator[dict[str, Any]]:
    """Where each segment is on each image that it is on, in the order of the segmentation's frames.

    Args:
        archive: where the instances are stored.
        images: of one series.
        segmentation: the segmentation.

    Raises:
        UndecodablePixels: a frame cannot be decoded, or is not of the size of its image.
    """
    header = read_attributes(archive, segmentation)
    slices = Slices([each for image in images for each in _slices_of(archive, image)])
    for number in range(1, segmentation.number_of_frames + 1):
        if not (under := slices.under(header, number)):
            continue
        decoded = decode_frame(archive, segmentation, number, header)
        for segment, mask in segment_masks(decoded.samples, header, number).items():
            for shown in under:
                _check_size(shown, mask)
                yield {
                    "sop_uid": shown.sop,
                    "frame": shown.frame,
                    "segment": segment,
                    "runs": runs_of(mask),
                }


def _slices_of(archive: FrameSource, image: StoredInstance) -> Iterator[Slice]:
    header = read_attributes(archive, image)
    return (Slice(image.key.sop, header, frame) for frame in range(1, max(image.number_of_frames, 1) + 1))


def _check_size(shown: Slice, mask: Mask) -> None:
    size = tuple(integer(shown.header, tag) for tag in ("00280010", "00280011"))
    if mask.shape != size:
        raise UndecodablePixels(f"the mask is of {mask.shape}, the image of {size} rows and columns")


def runs_of(mask: Mask) -> list[int]:
    """How many pixels lie outside and inside by turns, row after row, up to the last inside."""
    inside = np.pad(mask.ravel(), 1)
    return np.diff(np.flatnonzero(inside[1:] != inside[:-1]), prepend=0).tolist()  # type: ignore[no-any-return]


def masks_router(archive: Archive) -> APIRouter:
    """The routes that give decoded masks.

    Args:
        archive: where the instances are stored.
    """
    router = APIRouter(tags=["Overlay"])

    @router.get(
        "/overlay/studies/{study}/series/{series}/instances/{sop}/mask",
        summary="The mask of a segment on a slice: white where it is, transparent elsewhere",
        responses={**RESPONSES, 204: {"description": "The segment is not on this slice"}},
        response_class=Response,
    )
    def mask(
        *,
        study: Uid,
        series: Uid,
        sop: Uid,
        seg: _Segmentation,
        segment: Annotated[int, Query(ge=1, le=65535, description="Segment Number")],
        frame: Annotated[int, Query(ge=1, description="Frame of the image, 1-based")] = 1,
    ) -> Response:
        image = archive.instances(study, series, sop)[0]
        shown = Slice(image.key.sop, read_attributes(archive, image), frame)
        try:
            found = masks_on(archive, shown, segmentation_of(archive, study, seg)).get(segment)
        except UndecodablePixels as error:
            raise NotAcceptable(f"segmentation {seg} cannot be shown: {error}") from error
        if found is None:
            return Response(status_code=204, headers=HEADERS)
        return Response(mask_png(found), headers=HEADERS, media_type="image/png")

    @router.get(
        "/overlay/studies/{study}/series/{series}/masks",
        summary="The masks of a segmentation on all images of a series, as runs",
        description="`runs`: how many pixels lie outside and inside by turns, row after row.",
        responses={**RESPONSES, 200: {"content": {"application/json": {"schema": _RUNS}}}},
        response_class=StreamingResponse,
    )
    def masks(*, study: Uid, series: Uid, seg: _Segmentation) -> StreamingResponse:
        found = masks_of_series(
            archive, archive.instances(study, series), segmentation_of(archive, study, seg)
        )
        try:
            first = list(islice(found, 1))
        except UndecodablePixels as error:
            raise NotAcceptable(f"segmentation {seg} cannot be shown: {error}") from error
        return StreamingResponse(_array(chain(first, found)), headers=HEADERS, media_type="application/json")

    return router


def _array(values: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    """A JSON array, one value at a time."""
    before = b"["
    for value in values:
        yield before + json.dumps(value, separators=(",", ":")).encode()
        before = b","
    yield b"]" if before == b"," else b"[]"


def mask_png(mask: Mask) -> bytes:
    """A mask [row, column] as a PNG: white where it is, transparent elsewhere."""
    picture = Image.fromarray(mask.astype(np.uint8))
    picture.putpalette([0, 0, 0, 255, 255, 255])
    picture.save(buffer := BytesIO(), "PNG", transparency=0, compress_level=1)
    return buffer.getvalue()


def segmentation_of(archive: Archive, study: str, sop: str) -> StoredInstance:
    """A segmentation of a study. Raises `NotFound`, `UnknownInstance`.

    Drawing over the pictures of another study would show one patient's findings on another.
    """
    found = archive.instance(sop)
    if found.key.study != study or found.sop_class not in _SEGMENTATIONS:
        raise NotFound(f"seg: {sop} is not a segmentation of study {study}")
    return found
