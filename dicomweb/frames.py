"""Retrieve Frames (PS3.18 10.4.1.1.1): the pixel data frame by frame."""

import json
import re
from collections.abc import Callable, Sequence
from hashlib import sha256
from itertools import chain

from fastapi import APIRouter, Request
from fastapi.responses import Response

from dicomweb.answers import streamed
from dicomweb.conditional import PRIVATE, Validators
from dicomweb.decoded import decoded_frame
from dicomweb.documented import (
    INSTANCE,
    Accepting,
    Key,
    Responses,
    found,
    get,
    problems,
)
from dicomweb.encoded import EncodedFrames, choose, is_encoded
from dicomweb.forms import DEFAULT_SYNTAXES, frame_offers
from dicomweb.media_types import OCTETS, Accept, Offer
from dicomweb.multipart import multipart_type, new_boundary, write_multipart
from dicomweb.problems import BadRequest, NotFound
from storage.archive import Archive
from storage.instances import StoredInstance
from storage.pixels.decode import read_attributes
from storage.transcode import swapped, word_size
from storage.transfer_syntax import transfer_syntax

_NUMBERS = re.compile(r"[0-9]{1,9}(,[0-9]{1,9})*")
PIXEL_TAGS = ("7FE00010", "7FE00008", "7FE00009")
_RESPONSES: Responses = {
    200: found(
        "The frames in the order asked for; one alone may come as a single part",
        "multipart/related",
        OCTETS,
        "image/jpeg",
        "image/jls",
        "image/jp2",
        "image/jphc",
        "image/jxl",
        "image/dicom-rle",
    ),
    304: {"description": "The client has them already"},
    **problems(400, 404, 406),
}
ReadFrame = Callable[[int], bytes]


def add_frames(router: APIRouter, archive: Archive, encoded: EncodedFrames) -> None:
    """The frames of an instance."""

    @get(router, f"{INSTANCE}/frames/{{frames}}", "Retrieve frames", _RESPONSES)
    def retrieve_frames(request: Request, key: Key, frames: str, accept: Accepting) -> Response:
        numbers = frame_numbers(frames)
        instance = archive.instances(key.study, key.series, key.sop)[0]
        return frames_answer(request, encoded, instance, numbers, accept)


def frame_numbers(text: str) -> list[int]:
    """The numbers of a comma-separated list. Raises `BadRequest`."""
    if not _NUMBERS.fullmatch(text.replace(" ", "")):
        raise BadRequest(f"frames are numbers from 1, separated by commas, not {text[:80]!r}")
    return [int(number) for number in text.split(",")]


def frames_answer(
    request: Request,
    encoded: EncodedFrames,
    instance: StoredInstance,
    numbers: Sequence[int],
    accept: Accept,
) -> Response:
    """Frames of `instance` in the form that is accepted best.

    Raises:
        NotFound: a frame does not exist.
        NotAcceptable: no form is accepted, or the frames cannot be decoded into the one that is.
    """
    _check(instance, numbers)
    archive = encoded.archive
    offers = frame_offers(instance.transfer_syntax, several=len(numbers) > 1)
    offer = choose(archive, instance, accept, offers, DEFAULT_SYNTAXES)
    validators = Validators(_etag(instance, offer, numbers), instance.stored_at)
    if validators.held_by(request):
        return validators.not_modified()
    read = frame_reader(encoded, instance, offer)
    headers = {**validators.headers, **PRIVATE}
    first = read(numbers[0])  # what cannot be read or decoded shows before the answer begins
    if not offer.multipart:
        return streamed(request, [first], offer.part_type, headers)
    boundary = new_boundary()
    contents = chain([first], (read(number) for number in numbers[1:]))
    parts = ((offer.part_type, [each]) for each in contents)
    return streamed(request, write_multipart(parts, boundary), multipart_type(offer.media, boundary), headers)


def _etag(instance: StoredInstance, offer: Offer, numbers: Sequence[int]) -> str:
    form = sha256(repr((str(offer), list(numbers))).encode()).hexdigest()
    return f'"{instance.digest[:32]}-{form[:16]}"'


def _check(instance: StoredInstance, numbers: Sequence[int]) -> None:
    available = instance.number_of_frames
    if not available:
        raise NotFound(f"instance {instance.key.sop} has no frames")
    for number in numbers:
        if not 1 <= number <= available:
            raise NotFound(f"there is no frame {number}: the instance has {available}, counted from 1")


def frame_reader(encoded: EncodedFrames, instance: StoredInstance, offer: Offer) -> ReadFrame:
    """What reads a frame, counted from 1, in the form of `offer`; both raise `NotAcceptable`."""
    if is_encoded(instance, offer.transfer_syntax):
        return encoded.reader(instance, str(offer.transfer_syntax))
    return _stored_or_decoded(encoded.archive, instance, offer.transfer_syntax)


def _stored_or_decoded(archive: Archive, instance: StoredInstance, wanted: str | None) -> ReadFrame:
    syntax = transfer_syntax(instance.transfer_syntax)
    if not syntax.encapsulated:
        return _native_reader(archive, instance)
    if wanted == instance.transfer_syntax:
        return lambda number: archive.frame(instance, number)
    header = read_attributes(archive, instance)
    return lambda number: decoded_frame(archive, instance, number, header)


def _native_reader(archive: Archive, instance: StoredInstance) -> ReadFrame:
    layout = archive.layout(instance)
    unit = _unit(archive, instance)

    def read(number: int) -> bytes:
        ((offset, length),) = layout.frame(number)
        # Words may reach beyond the frame on both sides.
        before = (offset - layout.native_offset) % unit
        behind = -(before + length) % unit
        data = archive.read_value(instance, offset - before, before + length + behind)
        data = b"".join(swapped([data], unit))[before : before + length]
        return _aligned(data, layout.bit_offset(number), layout.frame_bits)

    return read


def _unit(archive: Archive, instance: StoredInstance) -> int:
    """Bytes of the words to be reordered, 1 when the object is little endian."""
    if not transfer_syntax(instance.transfer_syntax).big_endian:
        return 1
    header = json.loads(next(iter(archive.headers([instance]))))
    pixels = next(header[tag] for tag in PIXEL_TAGS if tag in header)
    return word_size(pixels["vr"], header.get("00280100", {}).get("Value", [0])[0])


def _aligned(data: bytes, bit_offset: int, bits: int) -> bytes:
    """Samples of `bits` in all, moved to the start of the first byte; the rest of the last byte is 0."""
    if bit_offset == 0 and bits % 8 == 0:
        return data
    number = int.from_bytes(data, "little") >> bit_offset & (1 << bits) - 1
    return number.to_bytes(-(-bits // 8), "little")
