"""Compressed pixel data as native samples: frames, and whole objects in little endian transfer syntaxes."""

from collections.abc import Iterator

import numpy as np

from storage.archive import Archive
from storage.instances import StoredInstance
from storage.pixels.attributes import Attributes
from storage.pixels.decode import decode_frame, read_attributes
from storage.pixels.description import PixelDescription
from storage.pixels.errors import UndecodablePixels
from storage.transcode import (
    HeaderWriter,
    Replacement,
    element_header,
    explicit_little_endian,
    implicit_header,
    little_endian_data_set,
)
from storage.transfer_syntax import transfer_syntax

_PHOTOMETRIC, _PIXEL_DATA = 0x00280004, 0x7FE00010
_OFFSET_TABLES = (0x7FE00001, 0x7FE00002)
_LONGEST = 0xFFFFFFFE
_BYTE = 8


def native_frame(archive: Archive, instance: StoredInstance, number: int, header: Attributes) -> bytes:
    """A frame as native little endian samples, colour as RGB in the planar configuration of the data set.

    Args:
        archive: where the instance is stored.
        instance: an image.
        number: frame number, 1-based.
        header: its attributes by `read_attributes`.

    Raises:
        UndecodablePixels: the message has the reason.
    """
    frame = decode_frame(archive, instance, number, header)
    samples, description = frame.samples, frame.description
    if description.bits_allocated == 1:
        return np.packbits(samples.astype(np.uint8), bitorder="little").tobytes()
    if samples.ndim == 3 and description.planar == 1:  # noqa: PLR2004 - rows, columns, colours
        samples = samples.transpose(2, 0, 1)
    return np.ascontiguousarray(samples, samples.dtype.newbyteorder("<")).tobytes()


def decoded_object(archive: Archive, instance: StoredInstance) -> Iterator[bytes]:
    """The Part 10 file of a compressed image in Explicit VR Little Endian, one frame in memory at a time.

    Every element is as stored but the pixel data and what describes its encoding.

    Raises:
        UndecodablePixels: it cannot be decoded, or is too long for a native value; frames are decoded as they
            are asked for.
    """
    replaced = _native_pixels(archive, instance, element_header)
    syntax = transfer_syntax(instance.transfer_syntax)
    return explicit_little_endian(archive.stream(instance), instance.size, syntax, replaced)


def native_data_set(archive: Archive, instance: StoredInstance, *, implicit: bool) -> Iterator[bytes]:
    """The data set of any instance in Explicit or Implicit VR Little Endian, compressed or not.

    Raises:
        InvalidInstance: it cannot be followed.
        UndecodablePixels: its pixel data cannot be decoded, or is too long for a native value; frames are
            decoded as they are asked for.
    """
    syntax = transfer_syntax(instance.transfer_syntax)
    header = implicit_header if implicit else element_header
    replaced = (
        _native_pixels(archive, instance, header) if syntax.encapsulated and instance.number_of_frames else {}
    )
    return little_endian_data_set(
        archive.stream(instance), instance.size, syntax, replaced, implicit=implicit
    )


def _native_pixels(
    archive: Archive, instance: StoredInstance, header: HeaderWriter
) -> dict[int, Replacement]:
    """The elements that are written anew when the pixel data becomes native."""
    attributes = read_attributes(archive, instance)
    description = PixelDescription.of(attributes)
    replaced: dict[int, Replacement] = {
        _PIXEL_DATA: lambda: _pixel_data(archive, instance, attributes, description, header),
        **dict.fromkeys(_OFFSET_TABLES, lambda: iter(())),
    }
    if description.samples > 1:
        replaced[_PHOTOMETRIC] = lambda: iter([header(_PHOTOMETRIC, "CS", 4) + b"RGB "])
    return replaced


def _pixel_data(
    archive: Archive,
    instance: StoredInstance,
    attributes: Attributes,
    description: PixelDescription,
    header: HeaderWriter,
) -> Iterator[bytes]:
    bits = description.rows * description.columns * description.samples * description.bits_allocated
    length = instance.number_of_frames * bits // _BYTE
    if instance.number_of_frames != description.number_of_frames:
        raise UndecodablePixels("it lacks frames")
    if length > _LONGEST or bits % _BYTE:
        raise UndecodablePixels("the decoded frames do not fit a native value")
    yield header(_PIXEL_DATA, "OB" if description.bits_allocated <= _BYTE else "OW", length + length % 2)
    for number in range(1, instance.number_of_frames + 1):
        yield native_frame(archive, instance, number, attributes)
    yield b"\0" * (length % 2)
