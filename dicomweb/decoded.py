"""Compressed pixel data as native samples: frames, and whole objects in Explicit VR Little Endian."""

from collections.abc import Iterator

import numpy as np

from dicomweb.explicit import element_header, explicit_little_endian
from dicomweb.problems import NotAcceptable
from storage.archive import Archive
from storage.instances import StoredInstance
from storage.pixels.attributes import Attributes
from storage.pixels.decode import decode_frame, read_attributes
from storage.pixels.description import PixelDescription
from storage.pixels.errors import UndecodablePixels
from storage.transfer_syntax import transfer_syntax

_PHOTOMETRIC, _PIXEL_DATA = 0x00280004, 0x7FE00010
_OFFSET_TABLES = (0x7FE00001, 0x7FE00002)
_LONGEST = 0xFFFFFFFE
_BYTE = 8


def decoded_frame(archive: Archive, instance: StoredInstance, number: int, header: Attributes) -> bytes:
    """A frame as native little endian samples, colour as RGB in the planar configuration of the data set.

    Args:
        archive: where the instance is stored.
        instance: an image.
        number: frame number, 1-based.
        header: its attributes by `read_attributes`.

    Raises:
        NotAcceptable: it cannot be decoded; the message has the reason.
    """
    try:
        frame = decode_frame(archive, instance, number, header)
    except UndecodablePixels as error:
        raise NotAcceptable(f"frame {number} is only available as stored: {error}") from error
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
        NotAcceptable: it cannot be decoded, or is too long for a native value (PS3.18 8.7.3.4).
    """
    header = read_attributes(archive, instance)
    try:
        description = PixelDescription.of(header)
    except UndecodablePixels as error:
        raise NotAcceptable(f"instance {instance.key.sop} is only available as stored: {error}") from error
    replaced = {
        _PIXEL_DATA: lambda: _pixel_data(archive, instance, header, description),
        **dict.fromkeys(_OFFSET_TABLES, lambda: iter(())),
    }
    if description.samples > 1:
        replaced[_PHOTOMETRIC] = lambda: iter([element_header(_PHOTOMETRIC, "CS", 4) + b"RGB "])
    syntax = transfer_syntax(instance.transfer_syntax)
    return explicit_little_endian(archive.stream(instance), instance.size, syntax, replaced)


def _pixel_data(
    archive: Archive, instance: StoredInstance, header: Attributes, description: PixelDescription
) -> Iterator[bytes]:
    bits = description.rows * description.columns * description.samples * description.bits_allocated
    length = instance.number_of_frames * bits // _BYTE
    if instance.number_of_frames != description.number_of_frames:
        raise NotAcceptable(f"instance {instance.key.sop} lacks frames: it is only available as stored")
    if length > _LONGEST or bits % _BYTE:
        raise NotAcceptable(f"the decoded frames of instance {instance.key.sop} do not fit a native value")
    yield element_header(
        _PIXEL_DATA, "OB" if description.bits_allocated <= _BYTE else "OW", length + length % 2
    )
    for number in range(1, instance.number_of_frames + 1):
        yield decoded_frame(archive, instance, number, header)
    yield b"\0" * (length % 2)
