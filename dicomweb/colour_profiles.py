"""ICC profiles of the colour spaces that `iccprofile` names (PS3.18 8.3.5.1.5), and pictures in them."""

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

from dicomweb.scaling import Picture
from storage.pixels.errors import UndecodablePixels

_PCS = "XYZ "
_D50 = (0.9642, 1.0, 0.8249)
_CURVE_STEPS = 1024


@dataclass(frozen=True, slots=True)
class _Space:
    """A colour space by its primaries, adapted to D50 and its gamma (0: that of sRGB)."""

    name: str
    red: tuple[float, float, float]
    green: tuple[float, float, float]
    blue: tuple[float, float, float]
    gamma: float = 0


_SPACES = {
    "srgb": _Space(
        "sRGB", (0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.7141)
    ),
    "adobergb": _Space(
        "Adobe RGB (1998)",
        (0.60974, 0.31111, 0.01947),
        (0.20528, 0.62567, 0.06087),
        (0.14919, 0.06322, 0.74457),
        563 / 256,
    ),
    "rommrgb": _Space(
        "ROMM RGB", (0.79767, 0.28804, 0.0), (0.13519, 0.71188, 0.0), (0.03134, 0.00009, 0.82491), 1.8
    ),
    "displayp3": _Space(
        "Display P3", (0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407)
    ),
}
PROFILES = ("no", "yes", *_SPACES)
"""What `iccprofile` may be."""


def in_profile(picture: Picture, wanted: str, stored: bytes) -> tuple[Picture, bytes]:
    """The picture in the colour space asked for, and the ICC profile that describes it; empty where none is.

    Args:
        picture: grey, which is taken as equal parts of red, green and blue, or RGB.
        wanted: one of `PROFILES`; `yes` is the picture's own space.
        stored: ICC Profile (0028,2000) of the image; without one its colour is taken as sRGB.

    Raises:
        UndecodablePixels: the stored profile is broken.
    """
    if wanted == "no":
        return picture, b""
    source = stored or _profile("srgb")
    rgb = picture if picture.ndim > 2 else np.stack([picture] * 3, -1)  # noqa: PLR2004 - has a colour axis
    if wanted == "yes":
        return rgb, source
    target = _profile(wanted)
    return (rgb if source == target else _converted(rgb, source, target)), target


def _converted(picture: Picture, source: bytes, target: bytes) -> Picture:
    image = Image.fromarray(np.ascontiguousarray(picture))
    try:
        read = ImageCms.ImageCmsProfile(io.BytesIO(source))
        wanted = ImageCms.ImageCmsProfile(io.BytesIO(target))
        return np.asarray(ImageCms.profileToProfile(image, read, wanted))
    except (ImageCms.PyCMSError, OSError) as error:
        raise UndecodablePixels(f"its ICC profile cannot be used: {error}") from error


@lru_cache
def _profile(name: str) -> bytes:
    """A matrix and tone curve display profile (ICC.1:2001-04 6.3.1.2)."""
    space = _SPACES[name]
    curve = _curve(space.gamma)
    tags = {
        b"desc": _description(space.name),
        b"cprt": b"text\0\0\0\0" + b"No copyright\0",
        b"wtpt": _xyz(_D50),
        b"rXYZ": _xyz(space.red),
        b"gXYZ": _xyz(space.green),
        b"bXYZ": _xyz(space.blue),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    table, data = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for tag, value in tags.items():
        table += tag + struct.pack(">II", start + len(data), len(value))
        data += value + b"\0" * (-len(value) % 4)
    body = struct.pack(">I", len(tags)) + table + data
    return _head(128 + len(body)) + body


def _head(size: int) -> bytes:
    head = struct.pack(">I4sI4s4s4s", size, b"\0" * 4, 0x02400000, b"mntr", b"RGB ", _PCS.encode())
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + b"\0" * 28 + _fixed(_D50)
    return head.ljust(128, b"\0")


def _fixed(numbers: Sequence[float]) -> bytes:
    return struct.pack(f">{len(numbers)}i", *(round(each * 65536) for each in numbers))


def _xyz(numbers: Sequence[float]) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(numbers)


def _description(text: str) -> bytes:
    named = text.encode() + b"\0"
    return b"desc\0\0\0\0" + struct.pack(">I", len(named)) + named + b"\0" * (8 + 3 + 67)


def _curve(gamma: float) -> bytes:
    if gamma:
        return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))
    x = np.linspace(0, 1, _CURVE_STEPS)
    # IEC 61966-2-1
    y = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)  # noqa: PLR2004 - its constants
    return b"curv\0\0\0\0" + struct.pack(">I", _CURVE_STEPS) + np.round(y * 65535).astype(">u2").tobytes()
