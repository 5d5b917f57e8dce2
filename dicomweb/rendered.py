"""Stored objects as pictures and documents that any browser shows (PS3.18 8.7.3, 10.4)."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import imagecodecs
import numpy as np

from dicomweb.scaling import Picture, Viewport, fit
from dicomweb.sr_html import sr_html
from storage.instances import StoredInstance
from storage.pixels import colour, grayscale
from storage.pixels.attributes import Attributes, integer, numbers, text, words
from storage.pixels.decode import FrameSource, decode_frame, read_attributes
from storage.pixels.errors import UndecodablePixels
from storage.pixels.grayscale import Window

THUMBNAIL = Viewport(256, 256)
DEFAULT_QUALITY = 90

_DOCUMENT, _DOCUMENT_LENGTH, _DOCUMENT_TYPE = "00420011", "00420015", "00420012"
_CONTENT = "0040A730"
_PDF = "application/pdf"


def _jpeg(picture: Picture, quality: int) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(picture, level=quality))


def _png(picture: Picture, _quality: int) -> bytes:
    # Measured on CT: this strategy and filter are the fastest and the smallest at once.
    return bytes(imagecodecs.png_encode(picture, level=1, strategy=3, filter=16))


ENCODERS: Mapping[str, Callable[[Picture, int], bytes]] = MappingProxyType(
    {"image/jpeg": _jpeg, "image/png": _png},
)
"""Media type → encoder of a picture at a quality of 1 to 100, the default first (PS3.18 table 8.7.4-1)."""


def media_types(instance: StoredInstance, header: Attributes) -> tuple[str, ...]:
    """The rendered media types an object can be had in, the default first; empty when in none."""
    if instance.number_of_frames:
        return tuple(ENCODERS)
    if text(header, _DOCUMENT_TYPE).lower() == _PDF and _DOCUMENT in header:
        return (_PDF,)  # other kinds of documents could carry scripts into our origin
    return ("text/html",) if _CONTENT in header else ()


def render(
    archive: FrameSource,
    instance: StoredInstance,
    frame: int = 1,
    *,
    window: Window | None = None,
    viewport: Viewport | None = None,
    quality: int = DEFAULT_QUALITY,
    media_type: str = "image/jpeg",
    header: Attributes | None = None,
) -> bytes:
    """One frame as an encoded picture.

    Args:
        archive: where the instance is stored.
        instance: an image.
        frame: frame number, 1-based.
        window: shown range of modality values in place of the object's own; colour images ignore it.
        viewport: size to fit into and region to show; without it every pixel is one pixel.
        quality: 1 to 100, for JPEG.
        media_type: a key of `ENCODERS`.
        header: the instance's attributes by `read_attributes`, where the caller has them.

    Raises:
        UndecodablePixels: there is no picture in it; the message has the reason.
        UnknownInstance: there is no such frame.
        BadRequest: the viewport's region lies outside the picture.
    """
    header = header or read_attributes(archive, instance)
    shown = picture(archive, instance, frame, header, window)
    if viewport:
        shown = fit(shown, viewport, pixel_aspect(header))
    return encode(shown, media_type, quality)


def encode(shown: Picture, media_type: str, quality: int = DEFAULT_QUALITY) -> bytes:
    """A picture in one of the media types of `ENCODERS`."""
    return ENCODERS[media_type](np.ascontiguousarray(shown), quality)


def picture(
    archive: FrameSource,
    instance: StoredInstance,
    frame: int,
    header: Attributes,
    window: Window | None = None,
) -> Picture:
    """One frame as 8-bit grey or RGB, a pixel for every pixel.

    Args:
        archive: where the instance is stored.
        instance: an image.
        frame: frame number, 1-based.
        header: its attributes, by `read_attributes`.
        window: as in `render`.

    Raises:
        UndecodablePixels: the message has the reason.
    """
    decoded = decode_frame(archive, instance, frame, header)
    if decoded.photometric == "RGB":
        return colour.to_8bit(decoded.samples, decoded.description.bits_stored)
    if decoded.photometric == "PALETTE COLOR":
        return colour.from_palette(decoded.samples, header, signed=decoded.description.signed)
    if not decoded.photometric.startswith("MONOCHROME"):
        raise UndecodablePixels(
            f"PhotometricInterpretation {decoded.photometric[:16]} with one sample per pixel"
        )
    return grayscale.display(decoded.samples, header, frame, window)


def pixel_aspect(header: Attributes) -> float:
    """Height of a pixel divided by its width (PS3.3 10.7.1, C.7.6.3.1.7); 1 where nothing is said."""
    for tag in ("00280030", "00181164", "00280034"):
        down, across, *_ = [*numbers(header, tag), 0, 0]
        if down > 0 and across > 0:
            return min(max(down / across, 0.1), 10.0)
    return 1.0


def document(archive: FrameSource, instance: StoredInstance, header: Attributes) -> bytes:
    """The encapsulated document, or else the structured report as a page of HTML."""
    if _DOCUMENT not in header:
        return sr_html(header).encode()
    if _DOCUMENT in archive.layout(instance).bulk:
        data = archive.read_value(instance, *archive.layout(instance).bulk[_DOCUMENT])
    else:
        data = words(header, _DOCUMENT).tobytes()
    # The value is padded to an even length; its true one is in its own attribute (PS3.3 C.24.2).
    return data[: integer(header, _DOCUMENT_LENGTH) or len(data)]


def middle(instance: StoredInstance) -> int:
    """The frame that stands for an instance in a thumbnail."""
    return max(instance.number_of_frames + 1, 2) // 2


def representative(instances: list[StoredInstance]) -> StoredInstance:
    """The instance that stands for a series or study: the middle one of its largest series of images."""
    series: dict[str, list[StoredInstance]] = {}
    for each in [each for each in instances if each.number_of_frames] or instances:
        series.setdefault(each.key.series, []).append(each)
    largest = max(series.values(), key=len)
    return largest[len(largest) // 2]
