"""Measurement groups of TID 1500 reports (PS3.16): one per finding record."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from pydicom import Dataset

from inference.findings import Code, Measurement, Score
from inference.records import FindingRecord, ImageReference, Region
from inference.results.coding import COMMENT, PERCENT, PRESENCES, SCORE_UNIT, Algorithm
from inference.results.context import SEGMENTATION_STORAGE
from inference.results.items import (
    CONTAINS,
    HAS_CONCEPT_MOD,
    HAS_OBS_CONTEXT,
    INFERRED_FROM,
    SELECTED_FROM,
    SOURCE,
    code_item,
    container,
    coordinates_item,
    image_item,
    number_item,
    text_item,
    uid_item,
)

FLAG = "Caution: "
"""How a comment starts that gives a reason for doubt."""
CRITICAL = "Critical finding: must be acknowledged"
"""The comment on a finding whose card says so."""
REMARK, REJECTED = "Reviewer: ", "Rejected by the reviewer"
"""How comments start that a person made."""
# Viewers on Cornerstone3D make a measurement editable by the tool that its tracking identifier begins with.
TOOLS: Mapping[str, str] = {
    "point": "Cornerstone3DTools@^0.1.0:Probe:",
    "box": "Cornerstone3DTools@^0.1.0:RectangleROI:",
    "polygon": "Cornerstone3DTools@^0.1.0:PlanarFreehandROI:",
    "line": "Cornerstone3DTools@^0.1.0:Length:",
}


def tracking_identifier(record: FindingRecord) -> str:
    """Tracking Identifier (112039 DCM): the key, behind the tool that edits the region where there is one."""
    drawn = record.region is not None and record.segment is None
    return (TOOLS[record.region.kind] if drawn and record.region else "") + record.key


_GROUP = Code("125007", "DCM", "Measurement Group")
_TRACKING_IDENTIFIER = Code("112039", "DCM", "Tracking Identifier")
_TRACKING_UID = Code("112040", "DCM", "Tracking Unique Identifier")
_FINDING, _FINDING_SITE = Code("121071", "DCM", "Finding"), Code("363698007", "SCT", "Finding Site")
_LATERALITY = Code("272741003", "SCT", "Laterality")
_METHOD, _DERIVATION = Code("370129005", "SCT", "Measurement Method"), Code("121401", "DCM", "Derivation")
_REGION, _SEGMENT = Code("111030", "DCM", "Image Region"), Code("121191", "DCM", "Referenced Segment")
_MEASURED = Code("121112", "DCM", "Source of Measurement")
_SOURCE_SERIES = Code("121232", "DCM", "Source Series for Segmentation")


def measurement_group(
    record: FindingRecord,
    algorithm: Algorithm,
    images: Mapping[str, Dataset],
    *,
    evaluations: Sequence[bytes] = (),
    remarks: Sequence[str] = (),
) -> bytes:
    """A group after TID 1411 over a segment, TID 1410 over a region, else TID 1501.

    Args:
        record: what the group says.
        algorithm: what made it; nothing where none but an algorithm did.
        images: headers by SOP Instance UID.
        evaluations: content items: what else is said in codes.
        remarks: what else is said in words.
    """
    template, place, anchor = _place(record, images)
    below = chain(
        _identity(record),
        algorithm,
        _numbers(record, anchor),
        _presence(record),
        evaluations,
        place,
        _comments(record, remarks),
    )
    return container(CONTAINS, _GROUP, list(below), template)


def _identity(record: FindingRecord) -> Iterator[bytes]:
    yield text_item(HAS_OBS_CONTEXT, _TRACKING_IDENTIFIER, tracking_identifier(record))
    yield uid_item(HAS_OBS_CONTEXT, _TRACKING_UID, record.tracking_uid)
    yield code_item(CONTAINS, _FINDING, record.code)
    if record.site is not None:
        side = record.laterality
        below = [code_item(HAS_CONCEPT_MOD, _LATERALITY, side)] if side is not None else []
        yield code_item(HAS_CONCEPT_MOD, _FINDING_SITE, record.site, below)


def _presence(record: FindingRecord) -> Iterator[bytes]:
    if presence := PRESENCES.get(record.presence):
        yield code_item(CONTAINS, record.code, presence)


def _numbers(record: FindingRecord, anchor: Sequence[bytes]) -> Iterator[bytes]:
    numbers = [*record.measurements, *([_certainty(record.score)] if record.score else [])]
    for index, number in enumerate(numbers):
        yield _number(number, () if index else anchor)


def _number(number: Measurement, anchor: Sequence[bytes]) -> bytes:
    """TID 300."""
    modifiers = ((_METHOD, number.method), (_DERIVATION, number.derivation))
    below = [code_item(HAS_CONCEPT_MOD, name, code) for name, code in modifiers if code is not None]
    return number_item(number.concept, number.value, number.unit, [*below, *anchor])


def _certainty(score: Score) -> Measurement:
    """A certainty in percent (PS3.16 CID 6147 names no unit for others): any other score as a bare number."""
    if score.concept.names_certainty:
        return Measurement(score.concept, float(f"{score.value * 100:.10g}"), PERCENT)
    return Measurement(score.concept, score.value, SCORE_UNIT)


def _place(
    record: FindingRecord, images: Mapping[str, Dataset]
) -> tuple[str, Sequence[bytes], Sequence[bytes]]:
    """The template, the items that say where it is, and what of them the first number repeats."""
    if record.segment is not None:
        sop, number = record.segment.sop, record.segment.number
        segment = image_item(CONTAINS, _SEGMENT, SEGMENTATION_STORAGE, sop, segment=number)
        return "1411", [segment, uid_item(CONTAINS, _SOURCE_SERIES, record.series)], ()
    if record.region is not None:
        graphic, points = _graphic(record.region)
        image = _image(SELECTED_FROM, SOURCE, ImageReference(record.region.sop, record.region.frame), images)
        region = coordinates_item(CONTAINS, _REGION, graphic, points, image)
        # TID 300: viewers look below the first number for the region that they let people edit.
        return "1410", [region], [coordinates_item(INFERRED_FROM, SOURCE, graphic, points, image)]
    # Where no image is named, all in the evidence are meant (TID 1501).
    return "1501", [] if record.image is None else [_image(CONTAINS, _MEASURED, record.image, images)], ()


def _graphic(region: Region) -> tuple[str, Sequence[float]]:
    if region.kind == "point":
        return "POINT", region.points
    if region.kind == "box":
        left, top, right, bottom = region.points
        corners: Sequence[float] = (left, top, right, top, right, bottom, left, bottom)
    else:
        corners = region.points
    # A POLYLINE is closed where its first point comes again (PS3.3 C.18.6.1.2).
    closing = () if region.kind == "line" else corners[:2]
    return "POLYLINE", [*corners, *closing]


def _image(relationship: str, name: Code, shown: ImageReference, images: Mapping[str, Dataset]) -> bytes:
    header = images[shown.sop]
    # Only references to multi-frame images name frames (PS3.3 table 10-3).
    frame = shown.frame if header.get("NumberOfFrames") else None
    return image_item(relationship, name, header.SOPClassUID, shown.sop, frame=frame)


def _comments(record: FindingRecord, remarks: Sequence[str]) -> list[bytes]:
    # The name comes first: viewers take the first comment as label.
    told = [record.key, *([record.note] if record.note else []), *remarks]
    told += [*(FLAG + flag for flag in record.flags), *([CRITICAL] if record.critical else [])]
    return [text_item(CONTAINS, COMMENT, text) for text in told]
