"""Stored objects as pictures and documents that any browser shows (PS3.18 8.7.4, 10.4)."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain

from dicomweb.annotation import annotated
from dicomweb.binary import binary
from dicomweb.colour_profiles import in_profile
from dicomweb.drawing import Drawing
from dicomweb.pictures import ENCODERS, GIF, WITH_PROFILE, animation, encode
from dicomweb.scaling import Picture, Viewport, fit
from dicomweb.sr_html import sr_html, sr_text
from dicomweb.waveform import WAVEFORMS, draw_waveform
from storage.instances import StoredInstance
from storage.pixels import colour, grayscale
from storage.pixels.attributes import Attributes, integer, item, number, numbers, text
from storage.pixels.decode import FrameSource, decode_frame
from storage.pixels.errors import UndecodablePixels
from storage.pixels.grayscale import Window

THUMBNAIL = Viewport(256, 256)
DEFAULT_QUALITY = 90
PDF, SVG, HTML, PLAIN = "application/pdf", "image/svg+xml", "text/html", "text/plain"
DOCUMENTS = frozenset(
    {PDF, "text/xml", "application/xml", "model/stl", "model/obj", "model/mtl", "model/gltf-binary"}
)
"""Media types of encapsulated documents that are given; a page of HTML could run scripts in our origin."""
RENDERED = (*ENCODERS, SVG, HTML, PLAIN, *sorted(DOCUMENTS))
"""Every rendered media type that is made here; video has that of its stream."""
UNTRUSTED = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
}
"""Headers under which a rendered document runs nothing and loads nothing in our origin."""

_DOCUMENT, _DOCUMENT_LENGTH, _DOCUMENT_TYPE = "00420011", "00420015", "00420012"
_CONTENT, _ICC, _OPTICAL_PATHS = "0040A730", "00282000", "00480105"
_DEFAULT_DELAY_MS = 100.0
_MAX_ANIMATION = 1 << 28


@dataclass(frozen=True, slots=True)
class Look:
    """How a picture is wanted (PS3.18 8.3.5.1)."""

    window: Window | None = None
    """Shown range of modality values in place of the object's own; colour images ignore it."""
    viewport: Viewport | None = None
    """Size to fit into and region to show; without it every pixel is one pixel."""
    quality: int = DEFAULT_QUALITY
    """1 to 100, where the media type loses information."""
    annotation: tuple[str, ...] = ()
    """Of `annotation.KINDS`."""
    profile: str = "no"
    """Of `colour_profiles.PROFILES`."""


Form = Callable[[Look], Iterable[bytes]]
"""Makes a rendered body, in chunks."""


def forms(
    archive: FrameSource, instance: StoredInstance, header: Attributes, frame: int | None = None
) -> Mapping[str, Form]:
    """The rendered media types an object can be had in, the default first; empty when in none.

    Args:
        archive: where the instance is stored.
        instance: which is no video.
        header: its attributes, by `read_attributes`.
        frame: the frame to be shown, 1-based; None for the whole instance, of which a GIF shows all frames,
            and the others the first.
    """
    if instance.number_of_frames:

        def shown(media: str, look: Look) -> list[bytes]:
            return [render(archive, instance, frame or 1, media, header=header, look=look)]

        made: dict[str, Form] = {media: partial(shown, media) for media in ENCODERS}
        if frame is None and instance.number_of_frames > 1:
            made[GIF] = partial(_animated, archive, instance, header)
        return made
    if _DOCUMENT in header:
        media = text(header, _DOCUMENT_TYPE).lower()
        return {media: lambda _: [_document(archive, instance, header)]} if media in DOCUMENTS else {}
    if _CONTENT in header:
        return {
            HTML: lambda _: [sr_html(header).encode()],
            PLAIN: lambda _: [sr_text(header).encode()],
        }
    return _waveform_forms(archive, instance, header) if WAVEFORMS in header else {}


def _waveform_forms(archive: FrameSource, instance: StoredInstance, header: Attributes) -> Mapping[str, Form]:
    def drawn(look: Look) -> Drawing:
        return draw_waveform(archive, instance, header, look.annotation)

    def pixels(media: str, look: Look) -> list[bytes]:
        return [encode(drawn(look).picture(look.viewport), media, look.quality)]

    return {
        SVG: lambda look: [drawn(look).svg()],
        PDF: lambda look: [drawn(look).pdf()],
        **{media: partial(pixels, media) for media in ENCODERS},
    }


def render(
    archive: FrameSource,
    instance: StoredInstance,
    frame: int,
    media_type: str,
    *,
    header: Attributes,
    look: Look,
) -> bytes:
    """One frame as an encoded picture.

    Args:
        archive: where the instance is stored.
        instance: an image.
        frame: frame number, 1-based.
        media_type: a key of `ENCODERS`.
        header: the instance's attributes by `read_attributes`.
        look: how it is wanted.

    Raises:
        UndecodablePixels: there is no picture in it; the message has the reason.
        UnknownInstance: there is no such frame.
        BadRequest: the viewport's region lies outside the picture.
    """
    shown = _shown(archive, instance, frame, header, look)
    profile = b""
    if look.profile != "no" and media_type in WITH_PROFILE:
        shown, profile = in_profile(shown, look.profile, _stored_profile(archive, instance, header))
    return encode(shown, media_type, look.quality, profile)


def _shown(
    archive: FrameSource, instance: StoredInstance, frame: int, header: Attributes, look: Look
) -> Picture:
    shown = picture(archive, instance, frame, header, look.window)
    if look.viewport:
        shown = fit(shown, look.viewport, pixel_aspect(header))
    # PS3.18 8.3.5.1.1: after everything else.
    return annotated(shown, header, look.annotation)


def _animated(
    archive: FrameSource, instance: StoredInstance, header: Attributes, look: Look
) -> Iterator[bytes]:
    count = instance.number_of_frames
    first = _shown(archive, instance, 1, header, look)
    if first.shape[0] * first.shape[1] * count > _MAX_ANIMATION:
        raise UndecodablePixels(f"{count} frames are too many for a GIF; a viewport makes them smaller")
    rest = (_shown(archive, instance, number, header, look) for number in range(2, count + 1))
    return animation(chain([first], rest), _delay(header))


def _delay(header: Attributes) -> float:
    """Milliseconds from frame to frame (PS3.3 C.7.6.5)."""
    for tag in ("00082144", "00180040"):  # Recommended Display Frame Rate, Cine Rate
        if rate := number(header, tag):
            return 1000 / abs(rate)
    return number(header, "00181063") or _DEFAULT_DELAY_MS


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
        window: as in `Look`.

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


def _stored_profile(archive: FrameSource, instance: StoredInstance, header: Attributes) -> bytes:
    """ICC Profile of the image or of its first optical path (PS3.3 C.11.15, C.8.12.5)."""
    return binary(archive, instance, header if _ICC in header else item(header, _OPTICAL_PATHS), _ICC)


def _document(archive: FrameSource, instance: StoredInstance, header: Attributes) -> bytes:
    """The encapsulated document."""
    data = binary(archive, instance, header, _DOCUMENT)
    # The value is padded to an even length; its true one is in its own attribute (PS3.3 C.24.2).
    return data[: integer(header, _DOCUMENT_LENGTH) or len(data)]


def middle(instance: StoredInstance) -> int:
    """The frame that stands for an instance in a thumbnail."""
    return max(instance.number_of_frames + 1, 2) // 2


def representative(instances: Sequence[StoredInstance]) -> StoredInstance:
    """The instance that stands for a series or study: the middle one of its largest series of images."""
    series: dict[str, list[StoredInstance]] = {}
    for each in [each for each in instances if each.number_of_frames] or instances:
        series.setdefault(each.key.series, []).append(each)
    largest = max(series.values(), key=len)
    return largest[len(largest) // 2]
