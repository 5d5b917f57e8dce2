"""What compressed streams say about themselves, read before any decoder sees them.

No decoder here takes a size limit, and libjpeg guesses colour without the data set: settle both first.
"""

from dataclasses import dataclass

from storage.pixels.errors import UndecodablePixels

_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_SOS, _EOI, _APP0, _APP14 = 0xDA, 0xD9, 0xE0, 0xEE
_LOSSLESS = frozenset({0xC3, 0xC7, 0xCB, 0xCF, 0xF7})
_ADOBE_TRANSFORM = 11
_FRAME_HEADER = 7
_SIZ, _COD, _SOT = 38, 0x52, 0x90


@dataclass(frozen=True, slots=True)
class JpegStream:
    """A JPEG (T.81) or JPEG-LS (T.87) stream."""

    rows: int
    columns: int
    components: int
    precision: int
    ids: bytes
    lossless: bool
    jfif: bool
    transform: int | None
    """The flag of an Adobe APP14 segment: 0 RGB, 1 YCbCr."""
    complete: bool
    """The end marker is there: libjpeg decodes what is cut off to a wrong picture without an error."""


@dataclass(frozen=True, slots=True)
class Jpeg2000Stream:
    """A JPEG 2000 or HTJ2K code stream (T.800, T.814)."""

    rows: int
    columns: int
    components: int
    colour_transform: bool
    complete: bool


def read_jpeg(data: bytes) -> JpegStream:
    """Read the markers up to the first scan.

    Raises:
        UndecodablePixels: there is no frame header, or the markers are broken.
    """
    if data[:2] != b"\xff\xd8":
        raise UndecodablePixels("the stream is not JPEG: it has no start marker")
    frame, transform, jfif, position = b"", None, False, 2
    marker = 0
    while marker != _SOS:
        marker, segment, position = _segment(data, position)
        if marker in _SOF and not frame:
            frame = bytes([marker]) + segment
        elif marker == _APP0 and segment[:5] == b"JFIF\0":
            jfif = True
        elif marker == _APP14 and segment[:5] == b"Adobe" and len(segment) > _ADOBE_TRANSFORM:
            transform = segment[_ADOBE_TRANSFORM]
    ids = frame[7::3]
    if len(frame) < _FRAME_HEADER or len(ids) != frame[6]:
        raise UndecodablePixels("the JPEG stream has no frame header before its first scan")
    return JpegStream(
        rows=int.from_bytes(frame[2:4], "big"),
        columns=int.from_bytes(frame[4:6], "big"),
        components=frame[6],
        precision=frame[1],
        ids=ids,
        lossless=frame[0] in _LOSSLESS,
        jfif=jfif,
        transform=transform,
        complete=data.find(b"\xff\xd9", position) >= 0,
    )


def _segment(data: bytes, position: int) -> tuple[int, bytes, int]:
    """The marker at `position`, its segment without the length, and where the next one starts."""
    while data[position : position + 2] == b"\xff\xff":
        position += 1
    if len(data) < position + 4 or data[position : position + 1] != b"\xff" or data[position + 1] == _EOI:
        raise UndecodablePixels("the JPEG stream ends or breaks before its first scan")
    marker = data[position + 1]
    if marker in _STANDALONE:
        return marker, b"", position + 2
    end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return marker, data[position + 4 : end], end


def read_jpeg2000(data: bytes) -> Jpeg2000Stream:
    """Read the SIZ and COD markers of a code stream, also where a JP2 file wraps it.

    Raises:
        UndecodablePixels: there is no SIZ marker.
    """
    start = data.find(b"\xff\x4f\xff\x51", 0, 1 << 16)
    siz = data[start + 4 : start + 42]
    if start < 0 or len(siz) < _SIZ:
        raise UndecodablePixels("the stream is not JPEG 2000: it has no SIZ marker")
    columns, rows, left, top = (int.from_bytes(siz[at : at + 4], "big") for at in (4, 8, 12, 16))
    return Jpeg2000Stream(
        rows=rows - top,
        columns=columns - left,
        components=int.from_bytes(siz[36:38], "big"),
        colour_transform=_colour_transform(data, start + 2),
        complete=data.rstrip(b"\0\xff").endswith(b"\xff\xd9"),
    )


def _colour_transform(data: bytes, position: int) -> bool:
    """SGcod's multiple component transformation of the main header's COD (T.800 A.6.1)."""
    while data[position : position + 1] == b"\xff" and len(data) > position + 9:
        marker = data[position + 1]
        if marker == _COD:
            return data[position + 8] == 1
        if marker == _SOT:
            break
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return False


def read_jpegxl(data: bytes) -> tuple[int, int]:
    """(rows, columns) of a JPEG XL stream (ISO/IEC 18181-1, SizeHeader), bare or in its container.

    Raises:
        UndecodablePixels: neither a code stream nor a container that holds one.
    """
    start = 0 if data[:2] == b"\xff\x0a" else _jxl_codestream(data)
    if data[start : start + 2] != b"\xff\x0a":
        raise UndecodablePixels("the stream is not JPEG XL")
    bits = _Bits(int.from_bytes(data[start + 2 : start + 18], "little"))
    small = bits.take(1)
    rows = (bits.take(5) + 1) * 8 if small else bits.size()
    ratio = bits.take(3)
    if ratio:
        numerator, denominator = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))[ratio - 1]
        return rows, rows * numerator // denominator
    return rows, (bits.take(5) + 1) * 8 if small else bits.size()


def _jxl_codestream(data: bytes) -> int:
    """Where the code stream starts in a container of boxes; 0 where none does."""
    position = 0
    while position + 16 < len(data):
        size, kind = int.from_bytes(data[position : position + 4], "big"), data[position + 4 : position + 8]
        header = 16 if size == 1 else 8
        if kind in {b"jxlc", b"jxlp"}:
            return position + header + (4 if kind == b"jxlp" else 0)
        size = int.from_bytes(data[position + 8 : position + 16], "big") if size == 1 else size
        if size < header:
            break
        position += size
    return 0


class _Bits:
    """Bits from the least significant upwards."""

    def __init__(self, value: int) -> None:
        self._value = value

    def take(self, count: int) -> int:
        taken = self._value & ((1 << count) - 1)
        self._value >>= count
        return taken

    def size(self) -> int:
        return self.take((9, 13, 18, 30)[self.take(2)]) + 1
