"""The pixels of one frame in the units a card asks for."""

from typing import Any

import numpy as np
import numpy.typing as npt

from inference.findings import SourceFrame
from inference.suitability import Unsuitable
from models.schema.inputs import ImageInput
from storage.pixels.attributes import Attributes
from storage.pixels.colour import from_palette, to_8bit
from storage.pixels.decode import Frame, FrameSource, decode_frame
from storage.pixels.errors import UndecodablePixels
from storage.pixels.grayscale import (
    Window,
    full_range,
    is_inverted,
    modality_values,
    picture_mask,
    voi,
)
from storage.pixels.grayscale import to_8bit as shown
from storage.pixels.lookup import LookupTable

Array = npt.NDArray[Any]
_BYTE = 8
_WHITE = 255


def read_picture(archive: FrameSource, source: SourceFrame, image: ImageInput, header: Attributes) -> Array:
    """One frame: [rows, columns], or [rows, columns, 3] in colour.

    Args:
        archive: where the frame is.
        source: the frame.
        image: the card's image input; `voi8` gives uint8, else the type is the one that holds the values.
        header: DICOM JSON of the instance with its lookup tables in it.

    Raises:
        Unsuitable: the frame cannot be decoded, or is in colour where values are asked for.
        StorageError: the archive cannot give it.
    """
    try:
        frame = decode_frame(archive, source.instance, source.frame, header)
        if image.values == "voi8":
            return _display(frame, header, image)
        if frame.photometric in {"RGB", "PALETTE COLOR"}:
            raise Unsuitable("the image is in colour, the model takes measured values")
        modality = image.values == "modality"
        return modality_values(frame.samples, header, source.frame) if modality else frame.samples
    except UndecodablePixels as error:
        raise Unsuitable(f"the image cannot be decoded: {error}") from error


def _display(frame: Frame, header: Attributes, image: ImageInput) -> Array:
    if frame.photometric == "RGB":
        return to_8bit(frame.samples, frame.description.bits_stored)
    if frame.photometric == "PALETTE COLOR":
        return from_palette(frame.samples, header, signed=frame.description.signed)
    invert = is_inverted(header)
    values = modality_values(frame.samples, header, frame.number)
    if image.window is not None:
        return shown(values, Window(image.window.center, image.window.width), invert=invert)
    chosen = voi(header, frame.number)
    as_they_are = chosen is None and values is frame.samples and frame.description.bits_stored <= _BYTE
    grey = values.astype(np.uint8) if as_they_are else _stretched(values, chosen, frame, header)
    return _WHITE - grey if invert else grey


def _stretched(values: Array, chosen: Window | LookupTable | None, frame: Frame, header: Attributes) -> Array:
    """What the window or table leaves, from its smallest to its largest value as 0 to 255."""
    if isinstance(chosen, LookupTable):
        levels: Array = chosen.map(values)
    elif chosen is None:
        levels = values
    elif chosen.function == "SIGMOID":
        levels = shown(values, chosen)
    else:
        levels = np.clip(values, *_ends(chosen))
    ends = full_range(levels, picture_mask(frame.samples, header))
    low, width = ends.center - ends.width / 2, ends.width
    scaled = (levels.astype(np.float64) - low) * (_WHITE / width)
    grey: Array = np.clip(np.rint(np.nan_to_num(scaled)), 0, _WHITE).astype(np.uint8)
    return grey


def _ends(window: Window) -> tuple[float, float]:
    """The values that become black and white (PS3.3 C.11.2.1.2.1, C.11.2.1.3.2)."""
    if window.function == "LINEAR_EXACT":
        return window.center - window.width / 2, window.center + window.width / 2
    low = window.center - 0.5 - (window.width - 1) / 2
    return low, low + window.width - 1
