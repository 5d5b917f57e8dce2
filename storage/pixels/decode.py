"""From the stored bytes of one frame to an array."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from storage.instances import StoredInstance
from storage.layout import Layout
from storage.pixels.attributes import Attributes, with_tables
from storage.pixels.codecs import DECODERS, EXPLICIT_BIG_ENDIAN, NATIVE, Decoded
from storage.pixels.colour import to_rgb
from storage.pixels.description import PixelDescription, Samples
from storage.pixels.errors import UndecodablePixels
from storage.pixels.native import native


class FrameSource(Protocol):
    """What decoding needs of an archive."""

    def headers(self, instances: Sequence[StoredInstance]) -> Iterator[bytes]:
        """The DICOM JSON header of each instance."""

    def layout(self, instance: StoredInstance) -> Layout:
        """Where its large values lie."""

    def frame(self, instance: StoredInstance, number: int) -> bytes:
        """The stored bytes of a frame (1-based)."""

    def read_value(self, instance: StoredInstance, offset: int, length: int) -> bytes:
        """The bytes of a value, as stored."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded frame."""

    samples: Samples
    """(rows, columns), or (rows, columns, 3) of RGB; integers have their sign and no bits but BitsStored."""
    photometric: str
    """MONOCHROME1, MONOCHROME2, RGB, or PALETTE COLOR, whose samples are indices."""
    description: PixelDescription
    number: int


def decode(
    encoded: bytes, description: PixelDescription, transfer_syntax: str, *, bit_offset: int = 0
) -> Samples:
    """The samples of one frame; colour comes as RGB, a palette's as indices.

    Args:
        encoded: the bytes of the frame, its fragments joined.
        description: what the data set says about them.
        transfer_syntax: UID of the transfer syntax they are stored in.
        bit_offset: where in the first byte a native frame of 1-bit samples starts.

    Returns:
        (rows, columns) or (rows, columns, 3); masked to BitsStored and sign-extended (PS3.5 8.1.1).

    Raises:
        UndecodablePixels: the reason is in the message.
    """
    try:
        raw, space = _decoded(encoded, description, transfer_syntax, bit_offset)
    except (RuntimeError, ValueError, TypeError) as error:  # imagecodecs has no common base
        raise UndecodablePixels(f"the frame does not decode: {error}") from error
    if raw.shape != description.shape:
        raise UndecodablePixels(f"the frame decodes to {raw.shape}, the data set says {description.shape}")
    settled = _settled(raw, description)
    return to_rgb(settled, space, description.bits_stored) if description.samples > 1 else settled


def _decoded(encoded: bytes, description: PixelDescription, transfer_syntax: str, bit_offset: int) -> Decoded:
    if transfer_syntax in NATIVE:
        big_endian = transfer_syntax == EXPLICIT_BIG_ENDIAN
        samples = native(encoded, description, bit_offset=bit_offset, big_endian=big_endian)
        return samples, description.photometric
    if transfer_syntax not in DECODERS:
        raise UndecodablePixels(f"no decoder for transfer syntax {transfer_syntax}")
    return DECODERS[transfer_syntax](encoded, description)


def _settled(raw: Samples, description: PixelDescription) -> Samples:
    """Integers without the bits around BitsStored (overlays, padding), signed where they are said to be."""
    if description.kind != "integer" or description.bits_allocated == 1:
        return raw
    unused = description.bits_allocated - description.bits_stored
    bits = raw.astype(description.dtype, copy=False)
    if not unused:
        return bits.view(f"i{description.sample_bytes}") if description.signed else bits
    # Up, so that what lies above HighBit falls off; then down again, with the sign where there is one.
    up = np.left_shift(bits, description.bits_allocated - 1 - description.high_bit)
    down: Samples = np.right_shift(
        up.view(f"i{description.sample_bytes}") if description.signed else up, unused
    )
    return down


def read_attributes(archive: FrameSource, instance: StoredInstance) -> Attributes:
    """The header of an instance as a dictionary, with the lookup tables that rendering needs in it."""
    header: Attributes = json.loads(next(iter(archive.headers([instance]))))
    big_endian = instance.transfer_syntax == EXPLICIT_BIG_ENDIAN

    def read(path: str) -> bytes:
        data = archive.read_value(instance, *archive.layout(instance).bulk[path])
        return np.frombuffer(data[: len(data) & ~1], ">u2").astype("<u2").tobytes() if big_endian else data

    return with_tables(header, read)


def decode_frame(
    archive: FrameSource, instance: StoredInstance, number: int, header: Attributes | None = None
) -> Frame:
    """Read and decode one frame.

    Args:
        archive: where the instance is stored.
        instance: the instance.
        number: frame number, 1-based.
        header: its attributes, where the caller has them already.

    Raises:
        UndecodablePixels: the reason is in the message.
        StorageError: the archive cannot give the frame.
    """
    description = PixelDescription.of(header or read_attributes(archive, instance))
    packed = description.bits_allocated == 1 and instance.transfer_syntax in NATIVE
    samples = decode(
        archive.frame(instance, number),
        description,
        instance.transfer_syntax,
        bit_offset=archive.layout(instance).bit_offset(number) if packed else 0,
    )
    photometric = "RGB" if description.samples > 1 else description.photometric
    return Frame(samples, photometric, description, number)
