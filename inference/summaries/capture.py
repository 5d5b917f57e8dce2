"""Secondary captures (PS3.3 A.8.1): a page of text, and pictures with the findings drawn in."""

import textwrap
from collections.abc import Iterator, Sequence

import highdicom as hd
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from pydicom import Dataset
from scipy import ndimage

from inference.findings import Analysis, SourceFrame
from inference.picture import read_picture
from inference.results.context import ResultContext
from inference.results.encoding import dated
from inference.summaries.marks import Mark, lines, marked_frames
from models.schema.inputs import ImageInput
from storage.pixels.attributes import Attributes, text
from storage.pixels.decode import FrameSource, read_attributes

SERIES_NUMBER = 903
_INSTANCE_NUMBER = "00200013"
_AS_SHOWN = ImageInput(kind="image", name="picture", layout="NCHW", values="voi8")
_SIDE = 768
"""Rows or columns that pictures are enlarged to, whichever there are more of."""
_TEXT = 18
_LINE = 26
_LETTERS_PER_LINE = 78
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)

Pixels = npt.NDArray[np.uint8]


def captures(
    analysis: Analysis, images: Sequence[Dataset], archive: FrameSource, context: ResultContext
) -> list[Dataset]:
    """The captures of a result, the page of text first; all of one series.

    Args:
        analysis: not a refusal.
        images: headers of its sources.
        archive: where the pixels are.
        context: the work item; equal arguments give equal pixels.
    """
    pages = [_page(lines(analysis)), *_pictures(analysis, archive)]
    return [_capture(pixels, number, analysis, images[0], context) for number, pixels in enumerate(pages, 1)]


def _pictures(analysis: Analysis, archive: FrameSource) -> Iterator[Pixels]:
    for each in marked_frames(analysis):
        header = read_attributes(archive, each.source.instance)
        picture = read_picture(archive, each.source, _AS_SHOWN, header)
        captions = [f"Image {_number(header, each.source)}", *(mark.caption for mark in each.marks)]
        drawn = _drawn(picture, each.marks)
        yield np.vstack([drawn, _page(captions, width=drawn.shape[1])])


def _number(header: Attributes, source: SourceFrame) -> str:
    frame = f", frame {source.frame}" if source.instance.number_of_frames > 1 else ""
    return f"{text(header, _INSTANCE_NUMBER) or '?'}{frame}"


def _drawn(picture: npt.NDArray[np.uint8], marks: Sequence[Mark]) -> Pixels:
    scale = max(_SIDE / max(picture.shape[:2]), 1.0)
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    image = Image.fromarray(picture).convert("RGB").resize(size, Image.Resampling.BILINEAR)
    for mark in marks:
        if isinstance(mark.shape, np.ndarray):
            image = _outlined(image, mark.shape, mark)
        else:
            box = tuple(edge * scale for edge in mark.box())
            ImageDraw.Draw(image).rectangle(box, outline=mark.colour, width=2)
    return np.asarray(image)


def _outlined(image: Image.Image, mask: npt.NDArray[np.bool_], mark: Mark) -> Image.Image:
    enlarged = np.asarray(Image.fromarray(mask).resize(image.size, Image.Resampling.NEAREST))
    edge = enlarged & ~ndimage.binary_erosion(enlarged, iterations=2)
    pixels = np.array(image)
    pixels[edge] = mark.colour
    return Image.fromarray(pixels)


def _page(texts: Sequence[str], width: int = _SIDE) -> Pixels:
    """White on black, as many rows as the text needs."""
    letters = max(_LETTERS_PER_LINE * width // _SIDE, 16)
    wrapped = [line for text in texts for line in (textwrap.wrap(text, letters) or [""])]
    page = Image.new("RGB", (width, _LINE * (len(wrapped) + 1)), _BLACK)
    font = ImageFont.load_default(_TEXT)
    for number, line in enumerate(wrapped):
        ImageDraw.Draw(page).text((_LINE // 2, _LINE // 2 + number * _LINE), line, fill=_WHITE, font=font)
    return np.asarray(page)


def _capture(
    pixels: Pixels, number: int, analysis: Analysis, image: Dataset, context: ResultContext
) -> Dataset:
    capture = hd.sc.SCImage.from_ref_dataset(
        ref_dataset=image,
        pixel_array=pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "P"),
        series_instance_uid=context.uid("SC series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=context.uid("SC", str(number)),
        instance_number=number,
        manufacturer=analysis.model.manufacturer,
        transfer_syntax_uid="1.2.840.10008.1.2.1",
    )
    capture.SeriesDescription = f"{analysis.model.title[:48]} (summary)"
    # highdicom wants an orientation; of a page with text none is true (type 2C, PS3.3 C.7.6.1).
    capture.PatientOrientation = capture.Laterality = None
    capture.DateOfSecondaryCapture, capture.TimeOfSecondaryCapture = dated(
        context.at, image.get("TimezoneOffsetFromUTC")
    )
    capture.ImageType = ["DERIVED", "SECONDARY"]
    # No name is drawn; what was in the picture before is not known.
    capture.BurnedInAnnotation = image.get("BurnedInAnnotation", "NO")
    return capture
