"""The Image Pixel Description Macro as a compressed stream tells it: metadata may leave it out.

PS3.18 10.5.2, table 10.5.2-1.
"""

from contextlib import suppress
from typing import Any

from storage.pixels.errors import UndecodablePixels
from storage.pixels.streams import read_jpeg, read_jpeg2000
from storage.transfer_syntax import transfer_syntax

_PREFIX = "1.2.840.10008.1.2.4."
_JPEG = frozenset(f"{_PREFIX}{each}" for each in (50, 51, 57, 70, 80, 81))
_JPEG2000 = frozenset(f"{_PREFIX}{each}" for each in (90, 91, 201, 202, 203))
_JPEG_LS = frozenset(f"{_PREFIX}{each}" for each in (80, 81))
_SIZ = b"\xff\x4f\xff\x51"
_FIRST_DEPTH = 42
_SIGNED = 0x80
_BYTE = 8
_COLOURS = 3


def described(syntax: str, stream: bytes) -> dict[str, Any]:
    """DICOM JSON attributes of the images in `stream`; none where it does not say them.

    Args:
        syntax: transfer syntax UID of the stream.
        stream: its beginning.
    """
    with suppress(UndecodablePixels):
        if syntax in _JPEG:
            jpeg = read_jpeg(stream)
            lossy = not jpeg.lossless and syntax not in _JPEG_LS
            colour = "YBR_FULL_422" if lossy and jpeg.ids != b"RGB" else "RGB"
            return _macro(jpeg.rows, jpeg.columns, jpeg.components, jpeg.precision, colour)
        if syntax in _JPEG2000:
            image = read_jpeg2000(stream)
            start = stream.find(_SIZ) + _FIRST_DEPTH
            depth = int.from_bytes(stream[start : start + 1])
            transformed = "YBR_ICT" if transfer_syntax(syntax).lossy else "YBR_RCT"
            colour = transformed if image.colour_transform else "RGB"
            bits = (depth & ~_SIGNED) + 1
            signed = depth & _SIGNED != 0
            return _macro(image.rows, image.columns, image.components, bits, colour, signed=signed)
    return {}


def _macro(
    rows: int, columns: int, samples: int, bits: int, colour: str, *, signed: bool = False
) -> dict[str, Any]:
    numbers = {
        "00280002": samples,
        "00280010": rows,
        "00280011": columns,
        "00280100": _BYTE if bits <= _BYTE else 2 * _BYTE,
        "00280101": bits,
        "00280102": bits - 1,
        "00280103": int(signed),
    }
    if samples == _COLOURS:
        numbers["00280006"] = 0
    photometric = colour if samples == _COLOURS else "MONOCHROME2"
    macro = {tag: {"vr": "US", "Value": [number]} for tag, number in numbers.items()}
    return macro | {"00280004": {"vr": "CS", "Value": [photometric]}}
