"""The grayscale pipeline (PS3.4 N.2): modality LUT, VOI LUT, presentation; arrays in, arrays out."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from storage.pixels.attributes import Attributes, functional_group, integer, item, number, numbers, text
from storage.pixels.description import Samples
from storage.pixels.lookup import LookupTable, sequence_table

Function = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]

_PIXEL_VALUE_TRANSFORMATION, _FRAME_VOI = "00289145", "00289132"
_MODALITY_LUT, _VOI_LUT = "00283000", "00283010"
_FLOAT_PIXELS = frozenset({"7FE00008", "7FE00009"})
_FUNCTIONS: Mapping[str, Function] = MappingProxyType({"LINEAR_EXACT": "LINEAR_EXACT", "SIGMOID": "SIGMOID"})
_EXACT_IN_FLOAT32 = 24
_INT64 = 8


@dataclass(frozen=True, slots=True)
class Window:
    """A range of modality values to be spread over the output range (PS3.3 C.11.2.1.2, C.11.2.1.3)."""

    center: float
    width: float
    function: Function = "LINEAR"

    def __post_init__(self) -> None:
        smallest_allowed = self.width >= 1 if self.function == "LINEAR" else self.width > 0
        if not (smallest_allowed and np.isfinite(self.center) and np.isfinite(self.width)):
            raise ValueError(f"a {self.function} window cannot have a width of {self.width:g}")


Voi = Window | LookupTable


def modality_values(samples: Samples, header: Attributes, frame: int = 1) -> Samples:
    """Stored values to modality values, e.g. Hounsfield units (C.11.1, C.7.6.16.2.9).

    Args:
        samples: stored values, with sign.
        header: DICOM JSON; a frame's own Pixel Value Transformation comes before the top level.
        frame: frame number, 1-based.

    Returns:
        The same shape; int16, int32 or int64, whichever holds the values, where slope and intercept are whole
        numbers; else float32, or float64 where stored values need it. Without a transformation, as given.
    """
    transformation = functional_group(header, _PIXEL_VALUE_TRANSFORMATION, frame)
    table = item(header, _MODALITY_LUT)
    if table and not transformation:
        return sequence_table(table, signed=_is_signed(header)).map(samples)
    slope, intercept = _rescale(transformation or header)
    if (slope, intercept) == (1, 0):
        return samples
    if samples.dtype.kind in "iu" and _is_small(slope) and _is_small(intercept) and samples.itemsize < _INT64:
        return _whole(samples, int(slope), int(intercept))
    wide = samples.dtype.itemsize * 8 > _EXACT_IN_FLOAT32 and samples.dtype != np.float32
    values: Samples = samples.astype(np.float64 if wide else np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        values *= slope
        values += intercept
    return values


def _is_small(value: float) -> bool:
    """A whole number with which 32-bit samples stay within 64 bits."""
    return value.is_integer() and abs(value) < 1 << 30


def _rescale(attributes: Attributes) -> tuple[float, float]:
    slope = number(attributes, "00281053")
    # A slope of 0 makes every value the same: a field left unset, never a measurement.
    return slope or 1.0, number(attributes, "00281052") or 0.0


def _whole(samples: Samples, slope: int, intercept: int) -> Samples:
    ends = [int(each) * slope + intercept for each in (samples.min(), samples.max())]
    dtype = next(
        (
            each
            for each in (np.int16, np.int32)
            if np.iinfo(each).min <= min(ends) and max(ends) <= np.iinfo(each).max
        ),
        np.int64,
    )
    return (samples.astype(np.int64) * slope + intercept).astype(dtype)


def windows(header: Attributes, frame: int = 1) -> list[Window]:
    """The windows of a frame in their order; those narrower than their function allows are left out."""
    source = _voi_attributes(header, frame)
    function = _FUNCTIONS.get(text(source, "00281056").upper(), "LINEAR")
    # LINEAR counts in whole steps (C.11.2.1.2.1), which float pixel data do not have: a map of 0 to 1 with
    # its window of width 1 would become a threshold.
    if function == "LINEAR" and not _FLOAT_PIXELS.isdisjoint(header):
        function = "LINEAR_EXACT"
    least = 1.0 if function == "LINEAR" else np.nextafter(0, 1)
    pairs = zip(numbers(source, "00281050"), numbers(source, "00281051"), strict=False)
    return [Window(center, width, function) for center, width in pairs if width >= least]


def voi(header: Attributes, frame: int = 1) -> Voi | None:
    """What the object asks to be shown with: its first VOI LUT, else its first window (C.11.2)."""
    table = item(_voi_attributes(header, frame), _VOI_LUT)
    if table:
        below_zero = _is_signed(header) or _rescale(header)[1] < 0
        return sequence_table(table, signed=below_zero)
    return next(iter(windows(header, frame)), None)


def _voi_attributes(header: Attributes, frame: int) -> Attributes:
    return functional_group(header, _FRAME_VOI, frame) or header


def full_range(values: Samples, shown: npt.NDArray[np.bool_] | None = None) -> Window:
    """The window from the smallest to the largest value.

    Args:
        values: modality values.
        shown: where there is picture rather than padding.
    """
    chosen = values[np.isfinite(values) if shown is None else shown & np.isfinite(values)]
    low, high = (float(chosen.min()), float(chosen.max())) if chosen.size else (0.0, 1.0)
    if low == high:  # a flat picture: black when nothing is stored, white otherwise
        low, high = min(low, 0.0), max(high, 1.0)
    return Window(low / 2 + high / 2, min(high - low, np.finfo(np.float64).max), "LINEAR_EXACT")


def picture_mask(samples: Samples, header: Attributes) -> npt.NDArray[np.bool_] | None:
    """Where stored values are not Pixel Padding Value … Range Limit (C.7.5.1.1.2); None: everywhere."""
    padding = integer(header, "00280120")
    if padding is None or samples.dtype.kind not in "iu":
        return None
    limit = integer(header, "00280121")
    low, high = sorted(_as_stored(each, samples) for each in (padding, padding if limit is None else limit))
    mask: npt.NDArray[np.bool_] = (samples < low) | (samples > high)
    return mask


def _as_stored(padding: int, samples: Samples) -> int:
    """Read with the sign of the samples, whatever VR was written."""
    bits = samples.dtype.itemsize * 8
    if samples.dtype.kind == "i" and padding >= 1 << (bits - 1):
        return padding - (1 << bits)
    return padding


def is_inverted(header: Attributes) -> bool:
    """Large values are dark: MONOCHROME1, or Presentation LUT Shape INVERSE (C.7.6.3.1.2, C.11.6.1.2)."""
    return text(header, "00280004").upper() == "MONOCHROME1" or text(header, "20500020").upper() == "INVERSE"


def to_8bit(values: Samples, chosen: Voi, *, invert: bool = False) -> npt.NDArray[np.uint8]:
    """Modality values to 0 … 255, rounded down.

    Args:
        values: any shape; what is not a number becomes the lowest value.
        chosen: window or VOI LUT.
        invert: black becomes white.
    """
    if isinstance(chosen, LookupTable):
        scale = 255 / ((1 << chosen.bits) - 1)
        levels = chosen.map(values) * np.float32(scale)
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            levels = _windowed(values, chosen)
    if invert:
        np.subtract(255, levels, out=levels)
    # fmin and fmax, unlike clip, let no NaN through.
    np.fmin(np.fmax(levels, 0, out=levels), 255, out=levels)
    return levels.astype(np.uint8)


def _windowed(values: Samples, window: Window) -> npt.NDArray[Any]:
    wide = values.dtype.itemsize * 8 > _EXACT_IN_FLOAT32 and values.dtype != np.float32
    x: npt.NDArray[Any] = values.astype(np.float64 if wide else np.float32)
    if window.function == "SIGMOID":
        exponent = np.clip((x - window.center) * (-4 / window.width), -80, 80)
        return np.asarray(255 / (1 + np.exp(exponent)))
    if window.function == "LINEAR_EXACT":
        low, width = window.center - window.width / 2, window.width
    else:
        low, width = window.center - 0.5 - (window.width - 1) / 2, window.width - 1
    if width == 0:  # a LINEAR window of width 1 is a threshold
        return np.where(x > low, 255, 0).astype(x.dtype)
    x -= low
    x *= 255 / width
    return x


def display(
    samples: Samples, header: Attributes, frame: int = 1, window: Window | None = None
) -> npt.NDArray[np.uint8]:
    """The whole pipeline for one frame of stored values.

    Args:
        samples: stored values, with sign.
        header: DICOM JSON with lookup tables in it.
        frame: frame number, 1-based.
        window: in place of what the object asks for; without either, from the smallest to the largest value.
    """
    values = modality_values(samples, header, frame)
    chosen = window or voi(header, frame) or full_range(values, picture_mask(samples, header))
    return to_8bit(values, chosen, invert=is_inverted(header))


def _is_signed(header: Attributes) -> bool:
    return integer(header, "00280103") == 1
