"""Stored images in transfer syntaxes they are not stored in: frames, some of them remembered, and objects."""

import struct
from collections.abc import Callable, Iterator, Sequence

from dicomweb.cache import ByteCache
from dicomweb.media_types import Accept, Offer
from dicomweb.problems import NotAcceptable
from storage.archive import Archive
from storage.instances import StoredInstance
from storage.pixels.attributes import Attributes
from storage.pixels.description import PixelDescription
from storage.pixels.encode import ENCODERS, encodable, encoded_frame
from storage.pixels.errors import UndecodablePixels
from storage.transcode import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    Replacement,
    element_header,
    explicit_little_endian,
)
from storage.transfer_syntax import transfer_syntax

_SYNTAX, _PHOTOMETRIC, _PLANAR, _PIXEL_DATA = 0x00020010, 0x00280004, 0x00280006, 0x7FE00010
_OFFSET_TABLES = (0x7FE00001, 0x7FE00002)
_ITEM, _SEQUENCE_END, _UNDEFINED = 0xFFFEE000, 0xFFFEE0DD, 0xFFFFFFFF
_GROUP_LENGTH = 140
"""Where in a file the value of File Meta Information Group Length lies (PS3.10 7.1)."""


class EncodedFrames:
    """Gives frames of stored images in the transfer syntaxes of `ENCODERS`, and remembers some of them."""

    def __init__(self, archive: Archive, cache: ByteCache) -> None:
        self.archive = archive
        self._cache = cache

    def reader(self, instance: StoredInstance, wanted: str) -> Callable[[int], bytes]:
        """What reads a frame (1-based) of an image in the transfer syntax `wanted`.

        Raises:
            NotAcceptable: it cannot be encoded so; or, while it is read, a frame cannot be decoded.
        """
        header, _ = _checked(self.archive, instance, wanted)

        def read(number: int) -> bytes:
            key = (instance.digest, number, wanted)
            return self._cache.get(key, lambda: _frame(self.archive, instance, number, wanted, header))

        return read


def is_encoded(instance: StoredInstance, wanted: str | None) -> bool:
    """To give the instance in the transfer syntax `wanted`, its frames must be encoded."""
    return wanted in ENCODERS and wanted != instance.transfer_syntax


def choose(
    archive: Archive,
    instance: StoredInstance,
    accept: Accept,
    offers: Sequence[Offer],
    defaults: dict[str, str] | None = None,
) -> Offer:
    """The offer that the client likes best of those in which the instance can be given.

    Raises:
        NotAcceptable: there is none.
    """
    offer = accept.choose(offers, defaults)
    if not is_encoded(instance, offer.transfer_syntax):
        return offer
    others = [each for each in offers if not is_encoded(instance, each.transfer_syntax)]
    try:
        other = accept.choose(others, defaults)
    except NotAcceptable:
        _checked(archive, instance, str(offer.transfer_syntax))
        return offer
    if accept.quality(other, defaults) >= accept.quality(offer, defaults):
        return other  # of equals, that which takes no encoding
    try:
        _checked(archive, instance, str(offer.transfer_syntax))
    except NotAcceptable:
        return other
    return offer


def encoded_object(archive: Archive, instance: StoredInstance, wanted: str) -> Iterator[bytes]:
    """The Part 10 file of an image in the transfer syntax `wanted`, one frame in memory at a time.

    Every element is as stored but the pixel data and what describes its encoding.

    Raises:
        NotAcceptable: it cannot be encoded so; or, while it is read, a frame cannot be decoded.
    """
    header, description = _checked(archive, instance, wanted)
    replaced: dict[int, Replacement] = {
        _PIXEL_DATA: lambda: _pixel_data(archive, instance, wanted, header),
        **dict.fromkeys(_OFFSET_TABLES, lambda: iter(())),
    }
    if description.samples > 1:
        replaced[_PHOTOMETRIC] = lambda: iter([_code(_PHOTOMETRIC, ENCODERS[wanted].colour)])
        # PS3.5 8.2: compressed samples are interleaved.
        replaced[_PLANAR] = lambda: iter([element_header(_PLANAR, "US", 2) + b"\0\0"])
    stored = transfer_syntax(instance.transfer_syntax)
    chunks = explicit_little_endian(archive.stream(instance), instance.size, stored, replaced)
    return _relabelled(chunks, wanted)


def _checked(archive: Archive, instance: StoredInstance, wanted: str) -> tuple[Attributes, PixelDescription]:
    try:
        return encodable(archive, instance, wanted)
    except UndecodablePixels as error:
        raise NotAcceptable(f"instance {instance.key.sop} is not available as {wanted}: {error}") from error


def _frame(archive: Archive, instance: StoredInstance, number: int, wanted: str, header: Attributes) -> bytes:
    try:
        return encoded_frame(archive, instance, number, wanted, header)
    except UndecodablePixels as error:
        raise NotAcceptable(f"frame {number} is not available as {wanted}: {error}") from error


def _pixel_data(
    archive: Archive, instance: StoredInstance, wanted: str, header: Attributes
) -> Iterator[bytes]:
    """Encapsulated frames (PS3.5 A.4), each one fragment, behind an empty offset table."""
    yield element_header(_PIXEL_DATA, "OB", _UNDEFINED) + _item(_ITEM, 0)
    for number in range(1, instance.number_of_frames + 1):
        frame = _frame(archive, instance, number, wanted, header)
        padding = b"\0" * (len(frame) % 2)
        yield _item(_ITEM, len(frame) + len(padding)) + frame + padding
    yield _item(_SEQUENCE_END, 0)


def _item(tag: int, length: int) -> bytes:
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, length)


def _code(tag: int, text: str) -> bytes:
    value = text.encode() + b" " * (len(text) % 2)
    return element_header(tag, "CS", len(value)) + value


def _uid(tag: int, uid: str) -> bytes:
    value = uid.encode() + b"\0" * (len(uid) % 2)
    return element_header(tag, "UI", len(value)) + value


def _relabelled(chunks: Iterator[bytes], wanted: str) -> Iterator[bytes]:
    """The file with another transfer syntax in its file meta information, which is the first chunk."""
    meta = next(chunks)
    before, after = _uid(_SYNTAX, EXPLICIT_VR_LITTLE_ENDIAN), _uid(_SYNTAX, wanted)
    (length,) = struct.unpack_from("<I", meta, _GROUP_LENGTH)
    rest = meta[_GROUP_LENGTH + 4 :].replace(before, after, 1)
    yield meta[:_GROUP_LENGTH] + struct.pack("<I", length + len(after) - len(before)) + rest
    yield from chunks
