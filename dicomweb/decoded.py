"""Compressed pixel data as native samples, or why a client can only have it as it is stored."""

from collections.abc import Iterator

from dicomweb.problems import NotAcceptable
from storage.archive import Archive
from storage.instances import StoredInstance
from storage.pixels import native_objects
from storage.pixels.attributes import Attributes
from storage.pixels.errors import UndecodablePixels


def decoded_frame(archive: Archive, instance: StoredInstance, number: int, header: Attributes) -> bytes:
    """A frame as native little endian samples, as by `native_frame`.

    Raises:
        NotAcceptable: it cannot be decoded; the message has the reason.
    """
    try:
        return native_objects.native_frame(archive, instance, number, header)
    except UndecodablePixels as error:
        raise NotAcceptable(f"frame {number} is only available as stored: {error}") from error


def decoded_object(archive: Archive, instance: StoredInstance) -> Iterator[bytes]:
    """The Part 10 file of a compressed image in Explicit VR Little Endian, as by `decoded_object` of storage.

    Raises:
        NotAcceptable: it cannot be decoded, or is too long for a native value (PS3.18 8.7.3.4).
    """
    try:
        return _acceptable(instance, native_objects.decoded_object(archive, instance))
    except UndecodablePixels as error:
        raise _as_stored(instance, error) from error


def _acceptable(instance: StoredInstance, chunks: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from chunks
    except UndecodablePixels as error:
        raise _as_stored(instance, error) from error


def _as_stored(instance: StoredInstance, error: UndecodablePixels) -> NotAcceptable:
    return NotAcceptable(f"instance {instance.key.sop} is only available as stored: {error}")
