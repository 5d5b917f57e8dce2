"""Retrieve Rendered and Thumbnail (PS3.18 10.4.1.1.3, 10.4.1.1.4): the answers with their headers."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response

from dicomweb.answers import content, streamed
from dicomweb.cache import ByteCache
from dicomweb.conditional import Validators
from dicomweb.documented import INSTANCE, SERIES, STUDY, Key, Responses, Series, Study, get, problems
from dicomweb.media_types import Accept, Offer
from dicomweb.multipart import multipart_type, new_boundary, write_multipart
from dicomweb.pictures import ENCODERS, GIF
from dicomweb.problems import NotAcceptable, NotFound
from dicomweb.rendered import RENDERED, UNTRUSTED, Form, forms, middle, render, representative
from dicomweb.rendered_parameters import Asked, asked, asked_thumbnail, parse_frames
from dicomweb.video import Video, video_of
from storage.archive import Archive
from storage.errors import UnknownInstance
from storage.instances import StoredInstance
from storage.pixels.decode import read_attributes
from storage.pixels.description import PixelDescription
from storage.pixels.errors import UndecodablePixels

log = logging.getLogger(__name__)

_PIPELINE = "2"
"""Part of every ETag: changes when the same request gives another picture."""
# Patients' pictures stay out of shared caches.
_HEADERS = {"Cache-Control": "private, max-age=300", "Vary": "Accept", **UNTRUSTED}
_INLINE = (*ENCODERS, "image/svg+xml", "text/html", "text/plain", "application/pdf")
_Part = tuple[str, Iterable[bytes]]

_Asked = Annotated[Asked, Depends(asked)]
_Small = Annotated[Asked, Depends(asked_thumbnail)]
_Frames = Annotated[str, Path(description="Frame numbers, 1-based, separated by commas")]
_MEDIA: dict[str, Any] = {media: {} for media in (*RENDERED, "video/mp4", "video/mp2t", "video/mpeg")}
_RESPONSES: Responses = {
    200: {
        "description": "What is rendered; of several instances or frames a multipart body",
        "content": _MEDIA | {"multipart/related": {}},
    },
    304: {"description": "The picture the client has is the current one"},
    **problems(400, 404, 406),
}


def rendered_answer(
    request: Request,
    archive: Archive,
    pictures: ByteCache,
    instance: StoredInstance,
    wanted: Asked,
    *,
    frame: int | None = None,
    among: Sequence[StoredInstance] = (),
) -> Response:
    """One instance, or one frame of it, in the form that is liked best.

    Args:
        request: with its conditions.
        archive: where the instance is stored.
        pictures: those that were asked for last, by their entity tags.
        instance: what is rendered.
        wanted: how.
        frame: counted from 1; None for what stands for all of them.
        among: the study or series that the instance was chosen from to stand for it.

    Raises:
        NotAcceptable: it has no rendered form, or none that is accepted.
    """
    with _refusing(instance):
        if frame is None and (video := video_of(archive, instance)):
            return _video(request, video, wanted.accept, among)
        made = _forms(archive, instance, frame)
        several = frame is None and instance.number_of_frames > 1
        offers = [Offer(media) for media in made] + [
            Offer(media, multipart=True) for media in ENCODERS if several
        ]
        offer = wanted.accept.choose(offers)
        if offer.multipart:
            numbers = range(1, instance.number_of_frames + 1)
            return _frames(request, archive, instance, numbers, wanted)
        validators = Validators.of(
            among or [instance], (_PIPELINE, str(offer), frame, wanted.look), alone=not among
        )
        if validators.held_by(request):
            return validators.not_modified(_HEADERS)
        headers = _HEADERS | validators.headers
        if offer.media not in _INLINE:
            headers["Content-Disposition"] = f'attachment; filename="{instance.key.sop}"'
        make = partial(made[offer.media], wanted.look)
        if offer.media in ENCODERS and not (several and offer.media == GIF):
            # The tag says all that the picture depends on; an animation may be too long to be held.
            body = [pictures.get(validators.etag, lambda: b"".join(make()))]
            return streamed(request, body, offer.media, headers)
        return streamed(request, make(), offer.media, headers)


def _video(request: Request, video: Video, accept: Accept, among: Sequence[StoredInstance]) -> Response:
    media = accept.choose([Offer(video.media)]).media
    newest = max((each.stored_at for each in among if each.stored_at), default=video.instance.stored_at)
    validators = Validators(f'"{video.instance.digest[:32]}-video"', newest, alone=not among)
    return content(request, media, video.size, validators, video.read, headers=UNTRUSTED)


def _forms(archive: Archive, instance: StoredInstance, frame: int | None = None) -> dict[str, Form]:
    header = read_attributes(archive, instance)
    made = dict(forms(archive, instance, header, frame))
    if not made:
        PixelDescription.of(header)  # says what is missing, or contradicts itself
        raise UndecodablePixels("its pixel data are shorter than one frame")
    return made


def _frames(
    request: Request, archive: Archive, instance: StoredInstance, numbers: Sequence[int], wanted: Asked
) -> Response:
    """Several frames, each a part."""
    offer = wanted.accept.choose([Offer(media, multipart=True) for media in ENCODERS])
    form = (_PIPELINE, str(offer), list(numbers), wanted.look)
    validators = Validators.of([instance], form, alone=True)
    if validators.held_by(request):
        return validators.not_modified(_HEADERS)
    header = read_attributes(archive, instance)
    make = partial(render, archive, instance, media_type=offer.media, header=header, look=wanted.look)
    first = make(numbers[0])  # whatever is wrong shows here, before the answer begins
    parts = ((offer.media, [each]) for each in chain([first], (make(number) for number in numbers[1:])))
    return _multipart(request, offer.media, parts, validators)


def _multipart(request: Request, media: str, parts: Iterable[_Part], validators: Validators) -> Response:
    boundary = new_boundary()
    body = write_multipart(parts, boundary)
    return streamed(request, body, multipart_type(media, boundary), _HEADERS | validators.headers)


def _of_many(
    request: Request,
    archive: Archive,
    pictures: ByteCache,
    instances: Sequence[StoredInstance],
    wanted: Asked,
) -> Response:
    """All instances of a study or series, part by part; one picture of it where a single one is asked for."""
    together = [Offer(media, multipart=True) for media in RENDERED]
    offer = wanted.accept.choose([*together, *(Offer(media) for media in RENDERED)])
    if not offer.multipart:
        chosen = representative(instances)
        frame = middle(chosen) if chosen.number_of_frames else None
        return rendered_answer(request, archive, pictures, chosen, wanted, frame=frame, among=instances)
    validators = Validators.of(instances, (_PIPELINE, str(offer), wanted.look))
    if validators.held_by(request):
        return validators.not_modified(_HEADERS)
    parts = _parts(archive, instances, wanted)
    first = next(parts, None)
    if first is None:
        raise NotAcceptable("nothing in it has a rendered form that is accepted")
    return _multipart(request, first[0], chain([first], parts), validators)


def _parts(archive: Archive, instances: Iterable[StoredInstance], wanted: Asked) -> Iterator[_Part]:
    """Every instance in its best form, images frame by frame; what has none that is accepted is left out."""
    for instance in instances:
        try:
            yield from _parts_of(archive, instance, wanted)
        except (NotAcceptable, UndecodablePixels, UnknownInstance) as error:
            log.info("instance %s is not among the rendered parts: %s", instance.key.sop, error)


def _parts_of(archive: Archive, instance: StoredInstance, wanted: Asked) -> Iterator[_Part]:
    if video := video_of(archive, instance):
        wanted.accept.choose([Offer(video.media, multipart=True)])
        yield video.media, video.read(0, video.size)
        return
    header = read_attributes(archive, instance)
    made = forms(archive, instance, header)
    media = wanted.accept.choose([Offer(media, multipart=True) for media in made]).media
    if media not in ENCODERS or not instance.number_of_frames:
        yield media, list(made[media](wanted.look))
        return
    for number in range(1, instance.number_of_frames + 1):
        yield media, [render(archive, instance, number, media, header=header, look=wanted.look)]


@contextmanager
def _refusing(instance: StoredInstance) -> Iterator[None]:
    try:
        yield
    except UndecodablePixels as error:
        raise NotAcceptable(f"instance {instance.key.sop} has no rendered form: {error}") from error


def _of_frames(
    request: Request, archive: Archive, pictures: ByteCache, key: Key, *, frames: str, wanted: Asked
) -> Response:
    numbers = parse_frames(frames)
    (instance,) = archive.instances(key.study, key.series, key.sop)
    if video_of(archive, instance):
        raise NotAcceptable(f"instance {key.sop} is a video, and comes as a whole")
    if not instance.number_of_frames:
        _forms(archive, instance)
    if not all(1 <= number <= instance.number_of_frames for number in numbers):
        raise NotFound(f"the instance has frames 1 to {instance.number_of_frames}")
    if len(numbers) == 1:
        return rendered_answer(request, archive, pictures, instance, wanted, frame=numbers[0])
    with _refusing(instance):
        return _frames(request, archive, instance, numbers, wanted)


def rendered_router(archive: Archive) -> APIRouter:
    """The routes of Retrieve Rendered and Retrieve Thumbnail below a DICOMweb root.

    Args:
        archive: where the instances are stored.
    """
    router = APIRouter(tags=["Rendered"])
    pictures = ByteCache()
    _add_rendered(router, archive, pictures)
    _add_thumbnails(router, archive, pictures)
    return router


def _get(
    router: APIRouter, path: str, summary: str
) -> Callable[[Callable[..., Response]], Callable[..., Response]]:
    return get(router, path, summary, _RESPONSES)


def _add_rendered(router: APIRouter, archive: Archive, pictures: ByteCache) -> None:
    @_get(router, f"{STUDY}/rendered", "All of the study rendered, or a picture that stands for it")
    def study_rendered(request: Request, study: Study, wanted: _Asked) -> Response:
        return _of_many(request, archive, pictures, archive.instances(study), wanted)

    @_get(router, f"{SERIES}/rendered", "All of the series rendered, or a picture that stands for it")
    def series_rendered(request: Request, study: Study, series: Series, wanted: _Asked) -> Response:
        return _of_many(request, archive, pictures, archive.instances(study, series), wanted)

    @_get(router, f"{INSTANCE}/rendered", "A picture, an animation, a video or the document")
    def instance_rendered(request: Request, key: Key, wanted: _Asked) -> Response:
        (instance,) = archive.instances(key.study, key.series, key.sop)
        return rendered_answer(request, archive, pictures, instance, wanted)

    @_get(router, f"{INSTANCE}/frames/{{frames}}/rendered", "Frames as pictures")
    def frames_rendered(request: Request, key: Key, frames: _Frames, wanted: _Asked) -> Response:
        return _of_frames(request, archive, pictures, key, frames=frames, wanted=wanted)


def _add_thumbnails(router: APIRouter, archive: Archive, pictures: ByteCache) -> None:
    def small(request: Request, instances: Sequence[StoredInstance], wanted: Asked) -> Response:
        chosen = representative(instances)
        return rendered_answer(
            request, archive, pictures, chosen, wanted, frame=middle(chosen), among=instances
        )

    @_get(router, f"{STUDY}/thumbnail", "A small picture of the study")
    def study_thumbnail(request: Request, study: Study, wanted: _Small) -> Response:
        return small(request, archive.instances(study), wanted)

    @_get(router, f"{SERIES}/thumbnail", "A small picture of the series")
    def series_thumbnail(request: Request, study: Study, series: Series, wanted: _Small) -> Response:
        return small(request, archive.instances(study, series), wanted)

    @_get(router, f"{INSTANCE}/thumbnail", "A small picture of the instance")
    def instance_thumbnail(request: Request, key: Key, wanted: _Small) -> Response:
        (instance,) = archive.instances(key.study, key.series, key.sop)
        return rendered_answer(request, archive, pictures, instance, wanted, frame=middle(instance))

    @_get(router, f"{INSTANCE}/frames/{{frames}}/thumbnail", "Small pictures of frames")
    def frames_thumbnail(request: Request, key: Key, frames: _Frames, wanted: _Small) -> Response:
        return _of_frames(request, archive, pictures, key, frames=frames, wanted=wanted)
