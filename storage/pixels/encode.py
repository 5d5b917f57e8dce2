"""One encoder per transfer syntax that is made here: lossless ones, and JPEG Baseline for eight bits."""

from collections.abc import Callable
from dataclasses import dataclass

import imagecodecs
import numpy as np

from storage.instances import StoredInstance
from storage.pixels.attributes import Attributes
from storage.pixels.decode import FrameSource, decode_frame, read_attributes
from storage.pixels.description import PixelDescription, Samples
from storage.pixels.errors import UndecodablePixels
from storage.transfer_syntax import transfer_syntax

JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
_PREFIX = "1.2.840.10008.1.2.4"
_QUALITY = 90
_BYTE = 8
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


ENCODERS: dict[str, Encoder] = {
    f"{_PREFIX}.70": Encoder(_jpeg_lossless, "RGB"),
    f"{_PREFIX}.80": Encoder(_jpeg_ls, "RGB"),
    f"{_PREFIX}.90": Encoder(_jpeg2000, "YBR_RCT"),
    f"{_PREFIX}.201": Encoder(_htj2k, "YBR_RCT"),
    f"{_PREFIX}.202": Encoder(_htj2k, "YBR_RCT"),
    f"{_PREFIX}.203": Encoder(_htj2k, "YBR_RCT"),
    f"{_PREFIX}.110": Encoder(_jpeg_xl, "RGB"),
    JPEG_BASELINE: Encoder(_jpeg_baseline, "YBR_FULL_422"),
}
"""Transfer syntax UID → encoder. JPEG Baseline loses information, the others do not."""


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
    if wanted == JPEG_BASELINE:
        _check_baseline(description)
    elif _is_exact_ybr(description, instance.transfer_syntax):
        raise UndecodablePixels(f"{description.photometric} cannot be made RGB without loss")
    return header, description


def _is_exact_ybr(description: PixelDescription, stored: str) -> bool:
    """Decoding to RGB would round samples that are stored without loss."""
    ybr = description.samples > 1 and description.photometric.startswith(("YBR_FULL", "YBR_PARTIAL"))
    return ybr and not transfer_syntax(stored).lossy


def _check_baseline(description: PixelDescription) -> None:
    if description.bits_stored > _BYTE or description.bits_allocated > _BYTE or description.signed:
        raise UndecodablePixels("JPEG Baseline holds unsigned samples of eight bits")
    if description.photometric == "PALETTE COLOR":
        raise UndecodablePixels("the indices of a palette do not survive JPEG Baseline")


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
