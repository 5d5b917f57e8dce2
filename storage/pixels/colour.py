"""Colour to RGB (PS3.3 C.7.6.3.1.2): luminance and chrominance, and palettes."""

import numpy as np
import numpy.typing as npt

from storage.pixels.attributes import Attributes, words
from storage.pixels.description import Samples
from storage.pixels.errors import UndecodablePixels
from storage.pixels.lookup import LookupTable, descriptor, expanded

# R, G, B from Y and what Cb and Cr differ from their middle: the equations of C.7.6.3.1.2 inverted.
_FULL = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]], np.float32)
_PARTIAL = np.array([[1.1644, 0, 1.5960], [1.1644, -0.3917, -0.8130], [1.1644, 2.0173, 0]], np.float32)
_BYTE = 8
_CODESTREAM_SPACES = frozenset({"RGB", "YBR_RCT", "YBR_ICT"})


def to_rgb(samples: Samples, photometric: str, bits_stored: int) -> Samples:
    """Three samples per pixel as RGB of the same type and depth.

    Args:
        samples: (rows, columns, 3), unsigned.
        photometric: the space they are in; YBR_RCT and YBR_ICT leave their decoder as RGB.
        bits_stored: depth of a sample.

    Raises:
        UndecodablePixels: the space is not one of colour.
    """
    if photometric in _CODESTREAM_SPACES:
        return samples
    if not photometric.startswith("YBR_"):
        raise UndecodablePixels(f"three samples per pixel with PhotometricInterpretation {photometric[:16]}")
    scale = float(1 << max(bits_stored - _BYTE, 0))
    partial = photometric.startswith("YBR_PARTIAL")
    half = 128 * scale
    zero = np.array([16 * scale if partial else 0, half, half], np.float32)
    rgb = (samples.astype(np.float32) - zero) @ (_PARTIAL if partial else _FULL).T
    np.rint(rgb, out=rgb)
    np.clip(rgb, 0, (1 << bits_stored) - 1, out=rgb)
    return rgb.astype(samples.dtype)


def to_8bit(samples: Samples, bits_stored: int) -> npt.NDArray[np.uint8]:
    """RGB samples at eight bits: deeper ones keep their upper bits, shallower ones are spread out."""
    if bits_stored > _BYTE:
        return (samples.astype(np.uint64) >> np.uint64(bits_stored - _BYTE)).astype(np.uint8)
    if bits_stored < _BYTE:
        return (samples.astype(np.uint16) * 255 // ((1 << bits_stored) - 1)).astype(np.uint8)
    return samples.astype(np.uint8, copy=False)


def from_palette(samples: Samples, header: Attributes, *, signed: bool) -> npt.NDArray[np.uint8]:
    """PALETTE COLOR samples through the Red, Green and Blue tables (C.7.6.3.1.5, C.7.9.2) as 8-bit RGB.

    Args:
        samples: (rows, columns) of indices.
        header: DICOM JSON with the tables in it.
        signed: how the first mapped value of the descriptors is to be read.

    Raises:
        UndecodablePixels: a table is missing or broken.
    """
    channels = [_palette(header, each, signed=signed) for each in ("1", "2", "3")]
    wide = any(each.bits > _BYTE and each.entries.max() >> _BYTE for each in channels)
    # Tables that announce 16 bits and use only 8 are common; C.7.9.2.1 scales by the announced depth.
    return np.stack(
        [(each.map(samples) >> (_BYTE if wide else 0)).astype(np.uint8) for each in channels], axis=-1
    )


def _palette(header: Attributes, channel: str, *, signed: bool) -> LookupTable:
    described = descriptor(header, f"0028110{channel}", signed=signed)
    segmented = words(header, f"0028122{channel}")
    entries = expanded(segmented, described) if segmented.size else words(header, f"0028120{channel}")
    return LookupTable.of(described, entries)
