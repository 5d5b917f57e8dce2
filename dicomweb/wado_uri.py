"""WADO-URI (PS3.18 9): one object by its UID, for the viewers that came before WADO-RS."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import Response

from dicomweb.answers import streamed
from dicomweb.conditional import PRIVATE
from dicomweb.documented import Responses, charsets, found, get, problems
from dicomweb.encoded import choose
from dicomweb.forms import object_offers
from dicomweb.media_types import DICOM, Accept, Offer
from dicomweb.problems import BadRequest, NotAcceptable, NotFound
from dicomweb.rendered import DEFAULT_QUALITY, RENDERED, UNTRUSTED, Look, forms
from dicomweb.rendered_parameters import parse_annotation, parse_window
from dicomweb.scaling import MAX_VIEWPORT, Viewport
from dicomweb.wado import single_object
from storage.archive import Archive
from storage.instances import StoredInstance
from storage.pixels.attributes import Attributes, integer
from storage.pixels.decode import read_attributes
from storage.pixels.errors import UndecodablePixels

_RESPONSES: Responses = {
    200: found("The object, a picture of it, or its document", DICOM, *RENDERED),
    206: found("The range of the object that was asked for", DICOM),
    304: {"description": "The client has it already"},
    **problems(400, 404, 406, 416),
}
_MISSING = {
    "anonymize": "objects are given as they are, with all that identifies the patient",
    "presentationUID": "pictures are not made by presentation states",
    "presentationSeriesUID": "pictures are not made by presentation states",
}
_COLUMNS_AND_ROWS = ("00280011", "00280010")
_Size = Annotated[int | None, Query(ge=1, le=MAX_VIEWPORT, description="Greatest size of the picture")]


@dataclass(frozen=True, slots=True)
class _Picture:
    """How a picture is wanted."""

    frame: int | None
    look: Look
    region: Sequence[float] = ()
    """Left, top, right and bottom in parts of the whole (PS3.18 9.1.2.2); all of it without."""

    def look_at(self, header: Attributes) -> Look:
        """The look, with the region in pixels of the image of which this is the header."""
        size = [integer(header, tag) or 0 for tag in _COLUMNS_AND_ROWS]
        if not self.region or not all(size):
            return self.look
        left, top, right, bottom = (part * size[at % 2] for at, part in enumerate(self.region))
        fits = self.look.viewport or Viewport(max(1, round(right - left)), max(1, round(bottom - top)))
        return replace(
            self.look, viewport=Viewport(fits.width, fits.height, left, top, right - left, bottom - top)
        )


@dataclass(frozen=True, slots=True)
class _Object:
    """Which object is wanted, and in which form."""

    study: str | None
    series: str | None
    sop: str
    accept: Accept


async def _object(
    *,
    request_type: Annotated[str, Query(alias="requestType", description="WADO")] = "WADO",
    study: Annotated[str | None, Query(alias="studyUID", description="Study Instance UID")] = None,
    series: Annotated[str | None, Query(alias="seriesUID", description="Series Instance UID")] = None,
    sop: Annotated[str, Query(alias="objectUID", description="SOP Instance UID")],
    content_type: Annotated[
        str | None, Query(alias="contentType", description="Media types, in place of the Accept header")
    ] = None,
    transfer_syntax: Annotated[
        str | None, Query(alias="transferSyntax", description="UID; only for application/dicom")
    ] = None,
    accept: Annotated[str | None, Header(alias="Accept", include_in_schema=False)] = None,
) -> _Object:
    if request_type != "WADO":
        raise BadRequest("requestType must be WADO")
    wanted = content_type
    if wanted and transfer_syntax:
        wanted = ",".join(f"{media}; transfer-syntax={transfer_syntax}" for media in wanted.split(","))
    return _Object(study, series, sop, Accept(accept, wanted))


async def _picture(
    *,
    frame: Annotated[int | None, Query(alias="frameNumber", ge=1, description="Counted from 1")] = None,
    rows: _Size = None,
    columns: _Size = None,
    center: Annotated[str | None, Query(alias="windowCenter", description="With windowWidth")] = None,
    width: Annotated[str | None, Query(alias="windowWidth", description="With windowCenter")] = None,
    quality: Annotated[
        int, Query(alias="imageQuality", ge=1, le=100, description="Of a JPEG")
    ] = DEFAULT_QUALITY,
    annotation: Annotated[str | None, Query(description="patient, technique, or both")] = None,
    region: Annotated[str | None, Query(description="left,top,right,bottom, each 0.0 to 1.0")] = None,
) -> _Picture:
    if (center is None) != (width is None):
        raise BadRequest("windowCenter and windowWidth come together")
    window = None if center is None else parse_window(f"{center},{width}")
    fits = Viewport(columns or MAX_VIEWPORT, rows or MAX_VIEWPORT) if rows or columns else None
    look = Look(window, fits, quality, parse_annotation(annotation) if annotation else ())
    return _Picture(frame, look, _region(region) if region else ())


def _region(text: str) -> Sequence[float]:
    try:
        left, top, right, bottom = (float(part) for part in text.split(","))
    except ValueError:
        raise BadRequest("region: expected left,top,right,bottom") from None
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise BadRequest("region: expected left before right and top before bottom, each from 0.0 to 1.0")
    return left, top, right, bottom


async def _not_given(request: Request) -> None:
    """Refuse what would be another object or picture if it were passed over."""
    for name, reason in _MISSING.items():
        if request.query_params.get(name):
            raise NotAcceptable(f"{name}: {reason}")


def wado_uri_router(archive: Archive) -> APIRouter:
    """The route of WADO-URI, at the address under which the router is mounted.

    Args:
        archive: where the instances are stored.
    """
    router = APIRouter(tags=["WADO-URI"], dependencies=[Depends(charsets), Depends(_not_given)])

    @get(router, "", "Retrieve an object or a picture of it by its UID", _RESPONSES)
    def retrieve(
        request: Request,
        wanted: Annotated[_Object, Depends(_object)],
        picture: Annotated[_Picture, Depends(_picture)],
    ) -> Response:
        instance = _instance(archive, wanted)
        objects = [
            offer
            for offer in object_offers(instance.transfer_syntax, image=bool(instance.number_of_frames))
            if not offer.multipart
        ]
        header = read_attributes(archive, instance)
        made = forms(archive, instance, header, picture.frame)
        # A picture or document is the default (PS3.18 9.3).
        offer = choose(archive, instance, wanted.accept, [*(Offer(media) for media in made), *objects])
        if offer.media == DICOM:
            return single_object(request, archive, instance, offer)
        try:
            made_so = made[offer.media](picture.look_at(header))
            return streamed(request, made_so, offer.media, PRIVATE | UNTRUSTED)
        except UndecodablePixels as error:
            raise NotAcceptable(f"instance {wanted.sop} has no rendered form: {error}") from error

    return router


def _instance(archive: Archive, wanted: _Object) -> StoredInstance:
    instance = archive.instance(wanted.sop)
    if archive.rejected([wanted.sop]):
        raise NotFound(f"instance {wanted.sop} is rejected")
    for given, stored in ((wanted.study, instance.key.study), (wanted.series, instance.key.series)):
        if given not in {None, "", stored}:
            raise NotFound(f"instance {wanted.sop} is not in the study and series that are named")
    return instance
