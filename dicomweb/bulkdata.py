"""Retrieve Bulkdata (PS3.18 10.4.1.1.5): the big values that metadata names by address."""

import json
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from dicomweb.answers import content, content_range, streamed, wanted_range
from dicomweb.conditional import PRIVATE, Validators
from dicomweb.documented import (
    INSTANCE,
    Accepting,
    Key,
    Responses,
    found,
    get,
    problems,
)
from dicomweb.encoded import EncodedFrames
from dicomweb.frames import frames_answer
from dicomweb.media_types import OCTETS, Offer
from dicomweb.multipart import multipart_type, new_boundary, write_multipart
from dicomweb.problems import NotFound
from storage.archive import Archive
from storage.instances import StoredInstance
from storage.transcode import swapped, word_size
from storage.transfer_syntax import transfer_syntax

_PIXEL_DATA = "7FE00010"
_OFFERS = [Offer(OCTETS), Offer(OCTETS, multipart=True)]
_Path = Annotated[str, Path(description="Tag, or tag/item/tag… into sequences, items from 0", max_length=400)]
_RESPONSES: Responses = {
    200: found(
        "The value, little endian; of encapsulated pixel data the frames", OCTETS, "multipart/related"
    ),
    206: found("The range of it that was asked for", OCTETS, "multipart/related"),
    304: {"description": "The client has it already"},
    **problems(400, 404, 406, 416),
}


def add_bulkdata(router: APIRouter, archive: Archive, encoded: EncodedFrames) -> None:
    """The big values of an instance."""

    @get(router, f"{INSTANCE}/bulkdata/{{path:path}}", "Retrieve a big value", _RESPONSES)
    def retrieve_bulkdata(request: Request, key: Key, path: _Path, accept: Accepting) -> Response:
        instance = archive.instances(key.study, key.series, key.sop)[0]
        path = path.upper()
        if path not in archive.layout(instance).bulk:
            raise NotFound(f"instance {key.sop} has no big value {path}")
        if path == _PIXEL_DATA and transfer_syntax(instance.transfer_syntax).encapsulated:
            numbers = range(1, instance.number_of_frames + 1)
            return frames_answer(request, encoded, instance, numbers, accept)
        return _value(request, archive, instance, path, accept.choose(_OFFERS))


def value_of(archive: Archive, instance: StoredInstance, path: str) -> Iterator[bytes]:
    """The whole value at a path of `Layout.bulk`, little endian."""
    start, size = archive.layout(instance).bulk[path]
    return swapped(_stored(archive, instance, start, size), _unit(archive, instance, path))


def _value(request: Request, archive: Archive, instance: StoredInstance, path: str, offer: Offer) -> Response:
    start, size = archive.layout(instance).bulk[path]
    unit = _unit(archive, instance, path)

    def read(offset: int, length: int) -> Iterator[bytes]:
        before = offset % unit
        whole = min(before + length + -(before + length) % unit, size - offset + before)
        chunks = swapped(_stored(archive, instance, start + offset - before, whole), unit)
        return _cut(chunks, before, length)

    if not offer.multipart:
        validators = Validators(f'"{instance.digest[:32]}-{path}"', instance.stored_at)
        return content(request, OCTETS, size, validators, read)
    validators = Validators.of([instance], path, alone=True)
    if validators.held_by(request):
        return validators.not_modified()
    # Clients that can read nothing but multipart bodies ask for ranges of the value within.
    piece = wanted_range(request, size, validators)
    boundary = new_boundary()
    body = write_multipart([(OCTETS, read(*(piece or (0, size))))], boundary)
    headers = PRIVATE | validators.headers | ({"Content-Range": content_range(piece, size)} if piece else {})
    return streamed(request, body, multipart_type(OCTETS, boundary), headers, 206 if piece else 200)


def _stored(archive: Archive, instance: StoredInstance, offset: int, length: int) -> Iterator[bytes]:
    if archive.layout(instance).deflated:
        return iter([archive.read_value(instance, offset, length)])
    return archive.stream(instance, offset, length)


def _cut(chunks: Iterator[bytes], skip: int, length: int) -> Iterator[bytes]:
    for chunk in chunks:
        piece = chunk[skip : skip + length]
        skip = max(skip - len(chunk), 0)
        length -= len(piece)
        yield piece


def _unit(archive: Archive, instance: StoredInstance, path: str) -> int:
    """Bytes of the words to be reordered: values leave little endian (PS3.18 8.7.3.3.1)."""
    if not transfer_syntax(instance.transfer_syntax).big_endian:
        return 1
    data_set: dict[str, Any] = json.loads(next(iter(archive.headers([instance]))))
    *steps, tag = path.split("/")
    for sequence, item in zip(steps[::2], steps[1::2], strict=True):
        data_set = data_set[sequence]["Value"][int(item)]
    bits = data_set.get("00280100", {}).get("Value", [0])[0] if tag == _PIXEL_DATA else 0
    return word_size(data_set[tag]["vr"], bits)
