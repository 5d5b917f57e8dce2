"""Grayscale softcopy presentation states (PS3.3 A.33.1): the findings as lines and words over the images."""

import json
from typing import Any

import highdicom as hd
import numpy as np
from pydicom import Dataset

from inference.findings import Analysis, ModelIdentity
from inference.results.context import ResultContext, equipment
from inference.results.sources import source_image
from inference.summaries.marks import Mark, Marked, marked_frames
from storage.archive import Archive

SERIES_NUMBER = 904
# What says how stored values are shown (PS3.3 C.7.6.3, C.11.1, C.11.2).
_SHOWN = (
    *("00280002", "00280004", "00280100", "00280101", "00280102", "00280103"),
    *("00281052", "00281053", "00281054", "00281050", "00281051", "00281056", "00283000", "00283010"),
)
_LAYER = "FINDINGS"


def presentation(analysis: Analysis, archive: Archive, context: ResultContext) -> list[Dataset]:
    """The presentation state of a result; none where nothing is drawn, or on images in colour."""
    marked = marked_frames(analysis)
    images = {each.source.instance.key.sop: _image(archive, each) for each in marked}
    if not images or not all(map(_is_grey, images.values())):
        return []
    layer = hd.pr.GraphicLayer(_LAYER, 1, description=analysis.model.title[:64])
    annotations = [_annotation(each, images[each.source.instance.key.sop], layer) for each in marked]
    state = hd.pr.GrayscaleSoftcopyPresentationState(
        referenced_images=list(images.values()),
        series_instance_uid=context.uid("PR series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=context.uid("PR"),
        instance_number=1,
        content_label=_LAYER,
        content_description=f"{analysis.model.title[:48]}, not verified",
        graphic_layers=[layer],
        graphic_annotations=annotations,
        **_equipment(analysis.model),
    )
    state.SeriesDescription = f"{analysis.model.title[:48]} (summary)"
    state.Laterality = None  # type 2C
    state.PresentationCreationDate = f"{context.at:%Y%m%d}"
    state.PresentationCreationTime = f"{context.at:%H%M%S}"
    return [state]


def _image(archive: Archive, marked: Marked) -> Dataset:
    """The header with what says how its values are shown."""
    header = json.loads(next(archive.headers([marked.source.instance])))
    image = source_image(header)
    image.update(Dataset.from_json({tag: header[tag] for tag in _SHOWN if tag in header}))
    return image


def _is_grey(image: Dataset) -> bool:
    return str(image.PhotometricInterpretation).startswith("MONOCHROME")


def _equipment(model: ModelIdentity) -> dict[str, Any]:
    """`equipment` by the names that highdicom gives it."""
    own = equipment(model)
    return {
        "manufacturer": own["Manufacturer"],
        "manufacturer_model_name": own["ManufacturerModelName"],
        "software_versions": own["SoftwareVersions"],
        "device_serial_number": own["DeviceSerialNumber"],
    }


def _annotation(marked: Marked, image: Dataset, layer: hd.pr.GraphicLayer) -> hd.pr.GraphicAnnotation:
    multiframe = marked.source.instance.number_of_frames > 1
    return hd.pr.GraphicAnnotation(
        referenced_images=[image],
        graphic_layer=layer,
        referenced_frame_number=marked.source.frame if multiframe else None,
        graphic_objects=[_outline(mark) for mark in marked.marks],
        text_objects=[_caption(mark) for mark in marked.marks],
    )


def _outline(mark: Mark) -> hd.pr.GraphicObject:
    left, top, right, bottom = mark.box()
    points = np.array([[left, top], [right, top], [right, bottom], [left, bottom], [left, top]])
    return hd.pr.GraphicObject("POLYLINE", np.maximum(points, 0), units="PIXEL")


def _caption(mark: Mark) -> hd.pr.TextObject:
    left, _, _, bottom = mark.box()
    return hd.pr.TextObject(
        mark.caption, units="PIXEL", anchor_point=(max(left, 0.0), bottom), anchor_point_visible=False
    )
