"""Bulk data and pixel data of whole studies, series and instances (PS3.18 10.4.1.1.5, 10.4.1.1.6)."""

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import Response

from dicomweb.answers import streamed
from dicomweb.bulkdata import value_of
from dicomweb.conditional import PRIVATE, Validators
from dicomweb.documented import (
    INSTANCE,
    SERIES,
    STUDY,
    Accepting,
    Responses,
    Series,
    Study,
    found,
    get,
    problems,
)
from dicomweb.documented import Key as InstanceKeyParameter
from dicomweb.encoded import EncodedFrames, choose
from dicomweb.forms import DEFAULT_SYNTAXES, frame_offers
from dicomweb.frames import PIXEL_TAGS, frame_reader
from dicomweb.media_types import OCTETS, Accept, Offer
from dicomweb.multipart import multipart_type, new_boundary, with_location, write_multipart
from dicomweb.problems import NotAcceptable, NotFound
from dicomweb.urls import ServiceUrl
from dicomweb.video import video_of
from storage.instances import StoredInstance
from storage.transcode import EXPLICIT_VR_LITTLE_ENDIAN
from storage.transfer_syntax import transfer_syntax

_INSTANCE_DEPTH = 3
_PIXEL_DATA = "7FE00010"
_VALUE = [Offer(OCTETS, multipart=True)]
_RESPONSES: Responses = {
    200: found(
        "The values as parts, each with the BulkDataURI of the metadata as its Content-Location",
        "multipart/related",
    ),
    304: {"description": "The client has them already"},
    **problems(400, 404, 406),
}


class _Part(NamedTuple):
    media: str
    """Content-Type without parameters."""
    head: str
    chunks: Iterable[bytes]


def add_all_bulkdata(router: APIRouter, encoded: EncodedFrames, base_url: str | None) -> None:
    """The big values of everything below an address, and the pixel data alone."""
    for name, only in (("bulkdata", None), ("pixeldata", PIXEL_TAGS)):
        _add(router, encoded, base_url, name, only)


def _add(
    router: APIRouter, encoded: EncodedFrames, base_url: str | None, name: str, only: tuple[str, ...] | None
) -> None:
    def answer(request: Request, accept: Accept, *path: str) -> Response:
        instances = encoded.archive.instances(*path)
        url = ServiceUrl.of(request, base_url)
        values = _Values(encoded, accept, url, only)
        parts = values.of(instances)
        first = next(parts, None)
        if first is None:
            raise values.nothing(name)
        form = (name, url.base, request.headers.getlist("accept"), request.query_params.getlist("accept"))
        validators = Validators.of(instances, form, alone=len(path) == _INSTANCE_DEPTH)
        if validators.held_by(request):
            return validators.not_modified()
        boundary = new_boundary()
        pairs = ((part.head, part.chunks) for part in chain([first], parts))
        body = write_multipart(pairs, boundary)
        return streamed(request, body, multipart_type(first.media, boundary), PRIVATE | validators.headers)

    @get(router, f"{STUDY}/{name}", f"All {name} of a study", _RESPONSES)
    def of_study(request: Request, study: Study, accept: Accepting) -> Response:
        return answer(request, accept, study)

    @get(router, f"{SERIES}/{name}", f"All {name} of a series", _RESPONSES)
    def of_series(request: Request, study: Study, series: Series, accept: Accepting) -> Response:
        return answer(request, accept, study, series)

    @get(router, f"{INSTANCE}/{name}", f"All {name} of an instance", _RESPONSES)
    def of_instance(request: Request, key: InstanceKeyParameter, accept: Accepting) -> Response:
        return answer(request, accept, key.study, key.series, key.sop)


class _Values:
    """The big values of instances, in a form that the client takes; those that have none are left out."""

    def __init__(
        self, encoded: EncodedFrames, accept: Accept, url: ServiceUrl, only: tuple[str, ...] | None
    ) -> None:
        self._encoded = encoded
        self._accept = accept
        self._url = url
        self._only = only
        self._refused: NotAcceptable | None = None

    def of(self, instances: Iterable[StoredInstance]) -> Iterator[_Part]:
        """A part for each value; for each frame of compressed pixel data."""
        for instance in instances:
            layout = self._encoded.archive.layout(instance)
            for path in layout.bulk:
                if self._only is None or path in self._only:
                    yield from self._parts(instance, path)

    def nothing(self, name: str) -> NotAcceptable | NotFound:
        """Why there is no part."""
        return self._refused or NotFound(f"there is no {name}")

    def _parts(self, instance: StoredInstance, path: str) -> Iterator[_Part]:
        location = f"{self._url.instance(instance.key)}/bulkdata/{path}"
        encapsulated = path == _PIXEL_DATA and transfer_syntax(instance.transfer_syntax).encapsulated
        try:
            offer, contents = self._pixels(instance) if encapsulated else self._value(instance, path)
        except NotAcceptable as refused:
            self._refused = refused
            return
        head = with_location(offer.part_type, location)
        for each in contents:
            yield _Part(offer.media, head, each)

    def _value(self, instance: StoredInstance, path: str) -> tuple[Offer, Iterable[Iterable[bytes]]]:
        return self._accept.choose(_VALUE), [value_of(self._encoded.archive, instance, path)]

    def _pixels(self, instance: StoredInstance) -> tuple[Offer, Iterable[Iterable[bytes]]]:
        """Frames as they are stored or encoded, one after the other; decoded, all of them are one value."""
        offers = frame_offers(instance.transfer_syntax, several=True)
        offer = choose(self._encoded.archive, instance, self._accept, offers, DEFAULT_SYNTAXES)
        if video := video_of(self._encoded.archive, instance):
            return offer, [video.read(0, video.size)]
        read = frame_reader(self._encoded, instance, offer)
        frames = map(read, range(1, instance.number_of_frames + 1))
        first = list(islice(frames, 1))  # what cannot be decoded shows before a part begins
        whole = chain(first, frames)
        if offer.transfer_syntax == EXPLICIT_VR_LITTLE_ENDIAN:
            return offer, [whole]
        return offer, ([each] for each in whole)
