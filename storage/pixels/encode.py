"""One encoder per transfer syntax that is made here: lossless ones, and JPEG for eight and twelve bits."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import imagecodecs
import numpy as np
from rle import encode_pixel_data

from storage.instances import StoredInstance
from storage.pixels.attributes import Attributes
from storage.pixels.decode import FrameSource, decode_frame, read_attributes
from storage.pixels.description import PixelDescription, Samples
from storage.pixels.errors import UndecodablePixels
from storage.transfer_syntax import transfer_syntax

JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
LOSSY = frozenset({JPEG_BASELINE, JPEG_EXTENDED})
"""Those of `ENCODERS` that lose information."""
RLE = "1.2.840.10008.1.2.5"
_PREFIX = "1.2.840.10008.1.2.4"
_QUALITY = 90
_BYTE, _EXTENDED_BITS = 8, 12
_ALLOCATED = (8, 16)


@dataclass(frozen=True, slots=True)
class Encoder:
    """How frames get into a transfer syntax."""

    encode: Callable[[Samples, PixelDescription], bytes]
    colour: str
    """Photometric Interpretation of three samples in the stream (PS3.5 8.2)."""


def _precision(description: PixelDescription) -> int:
    """Bits of a sample that the stream announces: as stored, but more than a byte where two are allocated."""
    least = 2 if description.bits_allocated == _BYTE else _BYTE + 1
    return max(description.bits_stored, least)


def _unsigned(samples: Samples) -> Samples:
    return samples.view(f"u{samples.itemsize}")


def _jpeg_baseline(samples: Samples, _: PixelDescription) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(samples, level=_QUALITY))


def _jpeg_extended(samples: Samples, _: PixelDescription) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(samples, level=_QUALITY, bitspersample=_EXTENDED_BITS))


def _jpeg_lossless(samples: Samples, description: PixelDescription) -> bytes:
    # A negative sample fills all bits that are allocated.
    bits = description.bits_allocated if description.signed else _precision(description)
    colour = "RGB" if description.samples > 1 else None
    encoded = imagecodecs.jpeg8_encode(
        _unsigned(samples),
        lossless=True,
        predictor=1,
        bitspersample=bits,
        colorspace=colour,
        outcolorspace=colour,
    )
    return bytes(encoded)


def _jpeg_ls(samples: Samples, _: PixelDescription) -> bytes:
    return bytes(imagecodecs.jpegls_encode(_unsigned(samples)))


def _jpeg2000(samples: Samples, description: PixelDescription) -> bytes:
    bits = _precision(description)
    return bytes(imagecodecs.jpeg2k_encode(samples, codecformat="J2K", reversible=True, bitspersample=bits))


def _htj2k(samples: Samples, _: PixelDescription) -> bytes:
    # RPCL with one tile-part for each resolution, as .202 asks for: each is a byte range of the stream.
    return bytes(imagecodecs.htj2k_encode(samples, reversible=True, tlm=True, tilepart=1))


def _jpeg_xl(samples: Samples, _: PixelDescription) -> bytes:
    return bytes(imagecodecs.jpegxl_encode(_unsigned(samples), lossless=True, effort=1))


def _rle(samples: Samples, description: PixelDescription) -> bytes:
    encoded: bytes = encode_pixel_data(
        samples.tobytes(),
        byteorder="<" if sys.byteorder == "little" else ">",
        rows=description.rows,
        columns=description.columns,
        samples_per_pixel=description.samples,
        bits_allocated=description.bits_allocated,
    )
    return encoded


ENCODERS: dict[str, Encoder] = {
    f"{_PREFIX}.70": Encoder(_jpeg_lossless, "RGB"),
    f"{_PREFIX}.80": Encoder(_jpeg_ls, "RGB"),
    f"{_PREFIX}.90": Encoder(_jpeg2000, "YBR_RCT"),
    f"{_PREFIX}.201": Encoder(_htj2k, "YBR_RCT"),
    f"{_PREFIX}.202": Encoder(_htj2k, "YBR_RCT"),
    f"{_PREFIX}.203": Encoder(_htj2k, "YBR_RCT"),
    f"{_PREFIX}.110": Encoder(_jpeg_xl, "RGB"),
    RLE: Encoder(_rle, "RGB"),
    JPEG_BASELINE: Encoder(_jpeg_baseline, "YBR_FULL_422"),
    JPEG_EXTENDED: Encoder(_jpeg_extended, "MONOCHROME2"),
}
"""Transfer syntax UID → encoder; `LOSSY` names those that lose information."""


def encodable(
    archive: FrameSource, instance: StoredInstance, wanted: str
) -> tuple[Attributes, PixelDescription]:
    """The header of an image whose frames can be had in `wanted`, and what it says of them.

    Raises:
        UndecodablePixels: they cannot; the message has the reason.
    """
    header = read_attributes(archive, instance)
    description = PixelDescription.of(header)
    if description.kind != "integer" or description.bits_allocated not in _ALLOCATED:
        raise UndecodablePixels(f"samples of {description.bits_allocated} bits ({description.kind})")
    if wanted in LOSSY:
        _check_lossy(description, _BYTE if wanted == JPEG_BASELINE else _EXTENDED_BITS)
    elif _is_exact_ybr(description, instance.transfer_syntax):
        raise UndecodablePixels(f"{description.photometric} cannot be made RGB without loss")
    return header, description


def _is_exact_ybr(description: PixelDescription, stored: str) -> bool:
    """Decoding to RGB would round samples that are stored without loss."""
    ybr = description.samples > 1 and description.photometric.startswith(("YBR_FULL", "YBR_PARTIAL"))
    return ybr and not transfer_syntax(stored).lossy


def _check_lossy(description: PixelDescription, bits: int) -> None:
    least = 1 if bits == _BYTE else _BYTE + 1
    if not least <= description.bits_stored <= bits or description.signed:
        raise UndecodablePixels(f"JPEG with loss holds unsigned samples of {least} to {bits} bits here")
    if description.bits_allocated != (_BYTE if bits == _BYTE else 2 * _BYTE):
        raise UndecodablePixels(f"{description.bits_stored} bits in {description.bits_allocated} allocated")
    if description.photometric == "PALETTE COLOR" or (description.samples > 1 and bits != _BYTE):
        raise UndecodablePixels("the indices of a palette, or colour of twelve bits, do not survive JPEG")


def encoded_frame(
    archive: FrameSource, instance: StoredInstance, number: int, wanted: str, header: Attributes
) -> bytes:
    """A frame in another transfer syntax.

    Args:
        archive: where the instance is stored.
        instance: an image that is `encodable` in `wanted`.
        number: frame number, 1-based.
        wanted: UID of a transfer syntax of `ENCODERS`.
        header: its attributes by `encodable`.

    Raises:
        UndecodablePixels: the frame cannot be decoded.
        StorageError: the archive cannot give it.
    """
    frame = decode_frame(archive, instance, number, header)
    samples = np.ascontiguousarray(frame.samples, frame.samples.dtype.newbyteorder("="))
    try:
        return ENCODERS[wanted].encode(samples, frame.description)
    except (RuntimeError, ValueError, TypeError) as error:  # imagecodecs has no common base
        raise UndecodablePixels(f"frame {number} cannot be encoded: {error}") from error
