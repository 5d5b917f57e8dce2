"""What the Image Pixel Module (PS3.3 C.7.6.3) says about the samples of every frame."""

from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from storage.pixels.attributes import Attributes, integer, text
from storage.pixels.errors import UndecodablePixels

MAX_FRAME_BYTES = 1 << 30
"""A frame larger than this, decoded, is refused: a header of a few bytes must not claim all memory."""

Kind = Literal["integer", "float", "double"]
Samples = npt.NDArray[Any]

PIXEL_DATA: dict[str, Kind] = {"7FE00010": "integer", "7FE00008": "float", "7FE00009": "double"}
_FLOATS: dict[Kind, tuple[int, str]] = {"float": (32, "f4"), "double": (64, "f8")}
_MAX_US = 0xFFFF
_BITS_ALLOCATED = (1, 8, 16, 32, 64)


@dataclass(frozen=True, slots=True)
class PixelDescription:
    """How the samples of each frame are laid out; checked once, when made."""

    rows: int
    columns: int
    samples: int = 1
    bits_allocated: int = 16
    bits_stored: int = 16
    high_bit: int = 15
    signed: bool = False
    photometric: str = "MONOCHROME2"
    planar: int = 0
    number_of_frames: int = 1
    kind: Kind = "integer"
    """Pixel Data, Float Pixel Data or Double Float Pixel Data (C.7.6.24, C.7.6.25)."""
    vr: str = "OW"

    def __post_init__(self) -> None:
        if not (0 < self.rows <= _MAX_US and 0 < self.columns <= _MAX_US):
            raise UndecodablePixels(f"no picture: Rows {self.rows}, Columns {self.columns}")
        if self.samples not in {1, 3}:
            raise UndecodablePixels(f"SamplesPerPixel is {self.samples}; only 1 and 3 are pictures")
        if self.bits_allocated not in _BITS_ALLOCATED:
            raise UndecodablePixels(f"BitsAllocated is {self.bits_allocated}")
        if not 0 < self.bits_stored <= self.high_bit + 1 <= self.bits_allocated:
            raise UndecodablePixels(
                f"BitsStored {self.bits_stored} and HighBit {self.high_bit} "
                f"do not fit BitsAllocated {self.bits_allocated}",
            )
        if self.rows * self.columns * self.samples * self.sample_bytes > MAX_FRAME_BYTES:
            raise UndecodablePixels(f"a frame of {self.rows} x {self.columns} is above the size limit")

    @classmethod
    def of(cls, header: Attributes) -> Self:
        """Read the description from a DICOM JSON header.

        Raises:
            UndecodablePixels: the object has no pixel data, or its description contradicts itself.
        """
        tag = next((each for each in PIXEL_DATA if each in header), None)
        if tag is None:
            raise UndecodablePixels("the object has no pixel data")
        kind = PIXEL_DATA[tag]
        allocated = _FLOATS[kind][0] if kind in _FLOATS else integer(header, "00280100") or 0
        stored = integer(header, "00280101") or allocated
        high = integer(header, "00280102")
        if high is None or not stored - 1 <= high < allocated:  # some writers count from one, or leave it out
            high = stored - 1
        return cls(
            rows=integer(header, "00280010") or 0,
            columns=integer(header, "00280011") or 0,
            samples=integer(header, "00280002") or 1,
            bits_allocated=allocated,
            bits_stored=allocated if kind in _FLOATS else stored,
            high_bit=allocated - 1 if kind in _FLOATS else high,
            signed=integer(header, "00280103") == 1,
            photometric=text(header, "00280004").upper() or "MONOCHROME2",
            planar=integer(header, "00280006") or 0,
            number_of_frames=max(integer(header, "00280008") or 1, 1),
            kind=kind,
            vr=str(header[tag].get("vr", "OW")),
        )

    @property
    def sample_bytes(self) -> int:
        """Bytes of one decoded sample."""
        return max(self.bits_allocated // 8, 1)

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, columns) or (rows, columns, samples)."""
        return (self.rows, self.columns) if self.samples == 1 else (self.rows, self.columns, self.samples)

    @property
    def is_subsampled(self) -> bool:
        """Native colour differences are stored for every other column only (C.7.6.3.1.2)."""
        return self.samples > 1 and self.photometric.endswith("_422")

    @property
    def native_bits(self) -> int:
        """Bits of one frame in a native transfer syntax."""
        per_pixel = 2 if self.is_subsampled else self.samples
        return self.rows * self.columns * per_pixel * self.bits_allocated

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The little endian type of a stored sample, before bits are masked and signs extended."""
        return np.dtype("<" + (_FLOATS[self.kind][1] if self.kind in _FLOATS else f"u{self.sample_bytes}"))
