"""One decoder per transfer syntax; each answers raw samples and the colour space they are in."""

from collections.abc import Callable

import imagecodecs

from storage.pixels.description import PixelDescription, Samples
from storage.pixels.errors import UndecodablePixels
from storage.pixels.native import deflated, native, rle
from storage.pixels.streams import JpegStream, read_jpeg, read_jpeg2000, read_jpegxl

Decoded = tuple[Samples, str]
"""Samples of shape (rows, columns[, 3]) and their photometric interpretation."""

Decoder = Callable[[bytes, PixelDescription], Decoded]

_PREFIX = "1.2.840.10008.1.2"
EXPLICIT_BIG_ENDIAN = f"{_PREFIX}.2"
NATIVE = frozenset({_PREFIX, f"{_PREFIX}.1", f"{_PREFIX}.1.99", EXPLICIT_BIG_ENDIAN})
"""Implicit, explicit, deflated and big endian: frames lie side by side in one value."""


def _jpeg(encoded: bytes, description: PixelDescription) -> Decoded:
    stream = read_jpeg(encoded)
    _check_size(description, stream.rows, stream.columns, stream.components)
    if not stream.complete:
        raise UndecodablePixels("the JPEG stream is cut off: it has no end marker")
    space = _colour_space(stream, description)
    source = "YCBCR" if space.startswith("YBR") else "RGB"
    if stream.components == 1:
        return imagecodecs.jpeg8_decode(encoded), description.photometric
    if stream.lossless:
        return imagecodecs.jpeg8_decode(encoded, colorspace="RGB", outcolorspace="RGB"), space
    return imagecodecs.jpeg8_decode(encoded, colorspace=source, outcolorspace="RGB"), "RGB"


def _colour_space(stream: JpegStream, description: PixelDescription) -> str:
    """What the three components are: the stream's marks come before the data set, which is often wrong."""
    if stream.lossless:
        return description.photometric
    if stream.transform in {0, 1}:
        return "YBR_FULL" if stream.transform else "RGB"
    if stream.jfif:
        return "YBR_FULL"
    return "RGB" if stream.ids == b"RGB" else description.photometric


def _jpegls(encoded: bytes, description: PixelDescription) -> Decoded:
    stream = read_jpeg(encoded)
    _check_size(description, stream.rows, stream.columns, stream.components)
    return imagecodecs.jpegls_decode(encoded), description.photometric


def _jpeg2000(encoded: bytes, description: PixelDescription) -> Decoded:
    stream = read_jpeg2000(encoded)
    _check_size(description, stream.rows, stream.columns, stream.components)
    # PS3.5 8.2.4: where the code stream transforms its components they come out as RGB.
    space = "RGB" if stream.colour_transform and stream.components > 1 else description.photometric
    return imagecodecs.jpeg2k_decode(encoded), space


def _htj2k(encoded: bytes, description: PixelDescription) -> Decoded:
    stream = read_jpeg2000(encoded)
    _check_size(description, stream.rows, stream.columns, stream.components)
    if not stream.complete:
        raise UndecodablePixels("the HTJ2K stream is cut off: it has no end marker")
    space = "RGB" if stream.colour_transform and stream.components > 1 else description.photometric
    samples = imagecodecs.htj2k_decode(encoded)
    if not samples.any():
        # imagecodecs swallows OpenJPH's errors and hands out zeros; OpenJPEG tells broken from black.
        samples = imagecodecs.jpeg2k_decode(encoded)
    return samples, space


def _jpegxl(encoded: bytes, description: PixelDescription) -> Decoded:
    _check_size(description, *read_jpegxl(encoded), description.samples)
    # The decoder undoes whatever colour transform the stream uses.
    space = "RGB" if description.samples > 1 else description.photometric
    return imagecodecs.jpegxl_decode(encoded), space


def _check_size(description: PixelDescription, rows: int, columns: int, components: int) -> None:
    if (rows, columns, components) != (description.rows, description.columns, description.samples):
        raise UndecodablePixels(
            f"the stream holds {rows} x {columns} pixels of {components} components, "
            f"the data set says {description.rows} x {description.columns} of {description.samples}",
        )


def _plain(decoder: Callable[[bytes, PixelDescription], Samples]) -> Decoder:
    return lambda encoded, description: (decoder(encoded, description), description.photometric)


def _rle(encoded: bytes, description: PixelDescription) -> Decoded:
    # Chroma is never subsampled in RLE, whatever the data set says (PS3.5 8.2.2).
    return rle(encoded, description), description.photometric


DECODERS: dict[str, Decoder] = {
    f"{_PREFIX}.1.98": _plain(native),
    f"{_PREFIX}.8.1": _plain(deflated),
    f"{_PREFIX}.5": _rle,
    **dict.fromkeys((f"{_PREFIX}.4.{each}" for each in (50, 51, 57, 70)), _jpeg),
    **dict.fromkeys((f"{_PREFIX}.4.{each}" for each in (80, 81)), _jpegls),
    **dict.fromkeys((f"{_PREFIX}.4.{each}" for each in (90, 91)), _jpeg2000),
    **dict.fromkeys((f"{_PREFIX}.4.{each}" for each in (201, 202, 203)), _htj2k),
    **dict.fromkeys((f"{_PREFIX}.4.{each}" for each in (110, 111, 112)), _jpegxl),
}
"""Transfer syntax UID → decoder of one encapsulated frame (PS3.5 A.4)."""
