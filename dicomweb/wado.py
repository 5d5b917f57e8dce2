"""WADO-RS (PS3.18 10.4): retrieve studies, series and instances as DICOM objects."""

from collections.abc import Iterable, Iterator, Sequence

from fastapi import APIRouter, Request
from fastapi.responses import Response

from dicomweb.answers import content, streamed
from dicomweb.conditional import PRIVATE, Validators
from dicomweb.decoded import decoded_object
from dicomweb.documented import (
    INSTANCE,
    SERIES,
    STUDY,
    Accepting,
    Key,
    Responses,
    Series,
    Study,
    found,
    get,
    problems,
)
from dicomweb.encoded import choose, encoded_object, is_encoded
from dicomweb.forms import object_offers, web_syntax
from dicomweb.media_types import DICOM, ZIP, Accept, Offer
from dicomweb.multipart import multipart_length, multipart_type, new_boundary, write_multipart
from dicomweb.problems import NotAcceptable
from dicomweb.zipped import write_zip
from storage.archive import Archive
from storage.instances import StoredInstance
from storage.pixels.encode import ENCODERS
from storage.transcode import EXPLICIT_VR_LITTLE_ENDIAN, explicit_little_endian
from storage.transfer_syntax import transfer_syntax

_MULTIPART = f'multipart/related; type="{DICOM}"'
_OBJECTS: Responses = {
    200: found("The objects, streamed", _MULTIPART, ZIP),
    304: {"description": "The client has them already"},
    **problems(400, 404, 406),
}
_OBJECT: Responses = {
    200: found("The object", _MULTIPART, DICOM),
    206: found("The range of it that was asked for", DICOM),
    304: {"description": "The client has it already"},
    **problems(400, 404, 406, 416),
}


def add_retrieve(router: APIRouter, archive: Archive) -> None:
    """The retrieve transactions of DICOM objects.

    Objects leave as the bytes that are stored; those in Implicit VR and Big Endian leave as Explicit VR
    Little Endian (8.7.3), as the others do when that is asked for by name; images leave in other compressed
    transfer syntaxes too.
    """

    @get(router, STUDY, "Retrieve the instances of a study", _OBJECTS)
    def retrieve_study(request: Request, study: Study, accept: Accepting) -> Response:
        return objects(request, archive, archive.instances(study), accept)

    @get(router, SERIES, "Retrieve the instances of a series", _OBJECTS)
    def retrieve_series(request: Request, study: Study, series: Series, accept: Accepting) -> Response:
        return objects(request, archive, archive.instances(study, series), accept)

    @get(router, INSTANCE, "Retrieve an instance", _OBJECT)
    def retrieve_instance(request: Request, key: Key, accept: Accepting) -> Response:
        instance = archive.instances(key.study, key.series, key.sop)[0]
        offer = choose(archive, instance, accept, _offers(instance))
        if offer.multipart:
            return _multipart(request, archive, [instance], [offer], alone=True)
        return single_object(request, archive, instance, offer)


def objects(
    request: Request, archive: Archive, instances: Sequence[StoredInstance], accept: Accept
) -> Response:
    """Many objects, as a multipart body or a ZIP file.

    Raises:
        NotAcceptable: there is an object that cannot be given in an accepted form.
    """
    chosen: dict[tuple[str, bool], Offer] = {}
    offers = []
    for instance in instances:
        kind = (instance.transfer_syntax, bool(instance.number_of_frames))
        offer = chosen.get(kind) or _part_or_zip(archive, instance, accept)
        if not is_encoded(instance, offer.transfer_syntax):
            chosen[kind] = offer
        offers.append(offer)
    if any(offer.media == ZIP for offer in offers):
        return _zip(request, archive, instances)
    return _multipart(request, archive, instances, offers)


def single_object(request: Request, archive: Archive, instance: StoredInstance, offer: Offer) -> Response:
    """One object alone: in ranges too where the stored bytes are what is sent."""
    validators = Validators(_etag(instance, offer), instance.stored_at)
    name = {"Content-Disposition": f'attachment; filename="{instance.key.sop}.dcm"'}
    if offer.transfer_syntax == instance.transfer_syntax:

        def read(offset: int, length: int) -> Iterator[bytes]:
            return archive.stream(instance, offset, length)

        return content(request, offer.part_type, instance.size, validators, read, headers=name)
    if validators.held_by(request):
        return validators.not_modified()
    chunks = object_bytes(archive, instance, offer.transfer_syntax)
    return streamed(request, chunks, offer.part_type, {**validators.headers, **PRIVATE, **name})


def object_bytes(archive: Archive, instance: StoredInstance, wanted: str | None) -> Iterator[bytes]:
    """The object in the transfer syntax `wanted`: the stored one, Explicit VR Little Endian, or encoded anew.

    Raises:
        NotAcceptable: its pixel data cannot be decoded, or not be encoded so.
    """
    if wanted == instance.transfer_syntax:
        return archive.stream(instance, 0, instance.size)
    if wanted is not None and is_encoded(instance, wanted):
        return encoded_object(archive, instance, wanted)
    syntax = transfer_syntax(instance.transfer_syntax)
    if syntax.encapsulated and instance.number_of_frames:
        return decoded_object(archive, instance)
    return explicit_little_endian(archive.stream(instance), instance.size, syntax)


def _etag(instance: StoredInstance, offer: Offer) -> str:
    return f'"{instance.digest[:32]}-{instance.version}-{offer.transfer_syntax}"'


def _offers(instance: StoredInstance) -> tuple[Offer, ...]:
    return object_offers(instance.transfer_syntax, image=bool(instance.number_of_frames))


def _part_or_zip(archive: Archive, instance: StoredInstance, accept: Accept) -> Offer:
    """The form of one of several objects."""
    offers = [*(offer for offer in _offers(instance) if offer.multipart), Offer(ZIP)]
    try:
        return choose(archive, instance, accept, offers)
    except NotAcceptable:
        if instance.number_of_frames:
            raise
        # Table 8.7.3-2: what is no image has one transfer syntax, whatever is asked for the images beside it.
        accept.choose([Offer(DICOM, uid, multipart=True) for uid in ENCODERS])
        return Offer(DICOM, EXPLICIT_VR_LITTLE_ENDIAN, multipart=True)


def _multipart(
    request: Request,
    archive: Archive,
    instances: Sequence[StoredInstance],
    offers: Sequence[Offer],
    *,
    alone: bool = False,
) -> Response:
    validators = Validators.of(instances, [each.transfer_syntax for each in offers], alone=alone)
    if validators.held_by(request):
        return validators.not_modified()
    boundary = new_boundary()
    pairs = list(zip(instances, offers, strict=True))
    headers = PRIVATE | validators.headers
    if all(offer.transfer_syntax == instance.transfer_syntax for instance, offer in pairs):
        sizes = [(offer.part_type, instance.size) for instance, offer in pairs]
        headers["Content-Length"] = str(multipart_length(sizes, boundary))
    parts = (
        (offer.part_type, object_bytes(archive, instance, offer.transfer_syntax)) for instance, offer in pairs
    )
    return streamed(request, write_multipart(parts, boundary), multipart_type(DICOM, boundary), headers)


def _zip(request: Request, archive: Archive, instances: Sequence[StoredInstance]) -> Response:
    validators = Validators.of(instances, ZIP)
    if validators.held_by(request):
        return validators.not_modified()
    files: Iterable[tuple[str, Iterator[bytes]]] = (
        (
            f"{each.key.series}/{each.key.sop}.dcm",
            object_bytes(archive, each, web_syntax(each.transfer_syntax)),
        )
        for each in instances
    )
    name = {"Content-Disposition": f'attachment; filename="{instances[0].key.study}.zip"'}
    return streamed(request, write_zip(files), ZIP, PRIVATE | validators.headers | name)
