"""Pictures in the media types that browsers and viewers show (PS3.18 table 8.7.4-1)."""

import io
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType

import imagecodecs
import numpy as np
from PIL import GifImagePlugin, Image

from dicomweb.scaling import Picture

GIF = "image/gif"
_GREYS = bytes(level for level in range(256) for _ in "rgb")
_GIF_TICK_MS = 10
_LONGEST_MS = 65535 * _GIF_TICK_MS
_HIGHEST_PSNR, _BEST = 60, 100


def _jpeg(picture: Picture, quality: int, profile: bytes) -> bytes:
    if profile:
        return _by_pillow(picture, "JPEG", quality=quality, icc_profile=profile)
    return bytes(imagecodecs.jpeg8_encode(picture, level=quality))


def _png(picture: Picture, _: int, profile: bytes) -> bytes:
    if profile:
        return _by_pillow(picture, "PNG", compress_level=1, icc_profile=profile)
    # Measured on CT: this strategy and filter are the fastest and the smallest at once.
    return bytes(imagecodecs.png_encode(picture, level=1, strategy=3, filter=16))


def _webp(picture: Picture, quality: int, profile: bytes) -> bytes:
    return _by_pillow(picture, "WEBP", quality=quality, method=0, icc_profile=profile)


def _gif(picture: Picture, _quality: int, _profile: bytes) -> bytes:
    return b"".join(animation([picture], 0))


def _jpeg2000(picture: Picture, quality: int, _: bytes) -> bytes:
    """Of the best quality without loss; each step below is 0.3 dB further away."""
    level = None if quality == _BEST else round(_HIGHEST_PSNR - 0.3 * (_BEST - quality))
    return bytes(
        imagecodecs.jpeg2k_encode(picture, codecformat="JP2", level=level, reversible=quality == _BEST)
    )


def _htj2k(picture: Picture, _quality: int, _profile: bytes) -> bytes:
    """Without loss, in the boxes that PS3.18 8.7.4 asks for (ISO/IEC 15444-15 Annex D)."""
    stream = bytes(imagecodecs.htj2k_encode(picture, reversible=True))
    rows, columns, *colour = picture.shape
    header = struct.pack(">IIHBBBB", rows, columns, 3 if colour else 1, 7, 7, 0, 0)
    space = struct.pack(">BBBI", 1, 0, 0, 16 if colour else 17)
    return (
        _box(b"jP  ", b"\r\n\x87\n")
        + _box(b"ftyp", b"jph \0\0\0\0jph ")
        + _box(b"jp2h", _box(b"ihdr", header) + _box(b"colr", space))
        + _box(b"jp2c", stream)
    )


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + kind + content


def _jpeg_xl(picture: Picture, quality: int, _: bytes) -> bytes:
    return bytes(imagecodecs.jpegxl_encode(picture, level=quality, effort=1))


def _by_pillow(picture: Picture, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, kind, **options)
    return buffer.getvalue()


ENCODERS: Mapping[str, Callable[[Picture, int, bytes], bytes]] = MappingProxyType(
    {
        "image/jpeg": _jpeg,
        "image/png": _png,
        GIF: _gif,
        "image/jp2": _jpeg2000,
        "image/jph": _htj2k,
        "image/jxl": _jpeg_xl,
        "image/webp": _webp,
    },
)
"""Media type → encoder of a picture, a quality of 1 to 100 and an ICC profile; the default first."""
WITH_PROFILE = frozenset({"image/jpeg", "image/png", "image/webp"})
"""Media types that carry an ICC profile here."""


def encode(shown: Picture, media_type: str, quality: int, profile: bytes = b"") -> bytes:
    """A picture in one of the media types of `ENCODERS`; others than `WITH_PROFILE` drop the profile."""
    return ENCODERS[media_type](np.ascontiguousarray(shown), quality, profile)


def animation(pictures: Iterable[Picture], delay_ms: float) -> Iterator[bytes]:
    """A GIF of the pictures, repeated for ever; one of them is held at a time.

    Args:
        pictures: all of the same size, at least one.
        delay_ms: how long each is shown, in milliseconds.
    """
    duration = round(min(max(delay_ms, 0), _LONGEST_MS))
    begun = False
    for picture in pictures:
        if not begun:
            yield _gif_head(picture)
            begun = True
        image = Image.fromarray(np.ascontiguousarray(picture))
        frame = image.quantize(256) if image.mode == "RGB" else _grey_palette(image)
        yield b"".join(GifImagePlugin.getdata(frame, duration=duration, include_color_table=True))
    yield b";"


def _grey_palette(image: Image.Image) -> Image.Image:
    frame = Image.frombytes("P", image.size, image.tobytes())
    frame.putpalette(_GREYS)
    return frame


def _gif_head(picture: Picture) -> bytes:
    rows, columns = picture.shape[:2]
    screen = struct.pack("<HHBBB", columns, rows, 0x70, 0, 0)
    return b"GIF89a" + screen + b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0"
