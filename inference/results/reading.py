"""Reads finding records back from a report of ours: the objects are the truth, the rows an index."""

from collections.abc import Iterator, Sequence

from pydicom import Dataset

from inference.findings import Code, Measurement, Presence, Score
from inference.records import FindingRecord, ImageReference, Region, SegmentReference
from inference.results.coding import (
    NOT_FOR_PRESENTATION,
    PRESENCES,
    RENDERING_INTENT,
    SCORE_UNIT,
)
from inference.results.context import MANUFACTURER, SEGMENTATION_STORAGE, UPS_PUSH, VERIFIED_SERIES_NUMBER
from inference.results.groups import CRITICAL, FLAG, REJECTED, REMARK, TOOLS
from inference.results.rows import decimal


def is_report(sr: Dataset) -> bool:
    """Whether this is a report that a work item of ours made."""
    steps = sr.get("ReferencedPerformedProcedureStepSequence") or ()
    return any(step.get("ReferencedSOPClassUID") == UPS_PUSH for step in steps) and bool(_groups(sr))


def read_findings(sr: Dataset) -> list[FindingRecord]:
    """The finding records that the report was made from, equal to those in every field.

    Args:
        sr: a report for which `is_report` holds.
    """
    series = _Series(sr)
    return [_record(group, sr, series) for group in _groups(sr)]


def is_verified_report(sr: Dataset) -> bool:
    """Whether this is a report that was signed here."""
    ours = sr.get("Manufacturer") == MANUFACTURER and sr.get("SeriesNumber") == VERIFIED_SERIES_NUMBER
    return ours and sr.get("VerificationFlag") == "VERIFIED" and bool(_groups(sr))


def _record(group: Dataset, sr: Dataset, series: "_Series") -> FindingRecord:
    items = group.ContentSequence
    code = _code(_one(items, "121071"))
    site = _item(items, "363698007")
    key = _key(_one(items, "112039").TextValue)
    comments = [item.TextValue for item in items if _name(item).value == "121106"]
    # The first is the name, for viewers; reports of older versions have none.
    comments = comments[1:] if comments[:1] == [key] else comments
    region, image, segment = _region(items), _image(items), _segment(items)
    place = region or image
    return FindingRecord(
        work_item=_work_item(sr),
        study=sr.StudyInstanceUID,
        series=series.of(place.sop if place else None, _item(items, "121232")),
        result=sr.SOPInstanceUID,
        model=_text(items, "111001"),
        version=_text(items, "111003"),
        key=key,
        tracking_uid=_one(items, "112040").UID,
        code=code,
        presence=_presence(items, code),
        site=_code(site) if site else None,
        laterality=_modifier(site, "272741003") if site else None,
        score=next((_score(item) for item in items if _is_score(item)), None),
        measurements=tuple(_measurement(item) for item in items if _is_measurement(item)),
        region=region,
        segment=segment,
        image=image,
        note=next((text for text in comments if not text.startswith((FLAG, REMARK, REJECTED, CRITICAL))), ""),
        flags=tuple(text.removeprefix(FLAG) for text in comments if text.startswith(FLAG)),
        critical=CRITICAL in comments,
        supersedes=next(predecessors(sr), None),
    )


def rejections(sr: Dataset) -> set[str]:
    """Tracking UIDs of what the reviewer of a verified report rejected."""
    return {
        str(_one(group.ContentSequence, "112040").UID)
        for group in _groups(sr)
        if (intent := _item(group.ContentSequence, RENDERING_INTENT.value)) is not None
        and _code(intent) == NOT_FOR_PRESENTATION
    }


def remarks(sr: Dataset) -> dict[str, str]:
    """What the reviewer of a verified report says in words, by tracking UID."""
    said = {}
    for group in _groups(sr):
        for item in group.ContentSequence:
            text = str(item.TextValue) if _name(item).value == "121106" else ""
            if text.startswith((REMARK, f"{REJECTED}: ")):
                tracking = str(_one(group.ContentSequence, "112040").UID)
                said[tracking] = text.removeprefix(REMARK).removeprefix(f"{REJECTED}: ")
    return said


def algorithm_parameters(sr: Dataset) -> tuple[str, ...]:
    """Algorithm Parameters (111002 DCM, PS3.16 TID 4019) of a report: the same in all its groups."""
    items = _groups(sr)[0].ContentSequence
    return tuple(str(item.TextValue) for item in items if _name(item).value == "111002")


def predecessors(sr: Dataset) -> Iterator[str]:
    """SOP Instance UIDs of the documents that this one was made from (PS3.3 C.17.2.4)."""
    for study in sr.get("PredecessorDocumentsSequence", ()):
        for series in study.ReferencedSeriesSequence:
            for document in series.ReferencedSOPSequence:
                yield str(document.ReferencedSOPInstanceUID)


def _groups(sr: Dataset) -> list[Dataset]:
    containers = (item for item in sr.get("ContentSequence", ()) if _name(item).value == "126010")
    return [group for each in containers for group in each.ContentSequence if _name(group).value == "125007"]


def _work_item(sr: Dataset) -> str:
    steps = sr.get("ReferencedPerformedProcedureStepSequence") or ()
    return next((str(step.ReferencedSOPInstanceUID) for step in steps), "")


def _text(items: Sequence[Dataset], name: str) -> str:
    item = _item(items, name)
    return str(item.TextValue) if item is not None else ""


def _key(identifier: str) -> str:
    """The key in a tracking identifier, without the tool before it."""
    return next(
        (identifier.removeprefix(tool) for tool in TOOLS.values() if identifier.startswith(tool)), identifier
    )


class _Series:
    """In which series the images of a report's groups are."""

    def __init__(self, sr: Dataset) -> None:
        self._of: dict[str, str] = {}
        for series in _evidence(sr):
            for each in series.ReferencedSOPSequence:
                if each.ReferencedSOPClassUID != SEGMENTATION_STORAGE:
                    self._of[each.ReferencedSOPInstanceUID] = str(series.SeriesInstanceUID)
        if not self._of:
            raise ValueError(f"report {sr.SOPInstanceUID} names no images")

    def of(self, image: str | None, source: Dataset | None) -> str:
        """Of an image, of a mask whose group names its source series, or of the report as a whole."""
        if source is not None:
            return str(source.UID)
        return self._of.get(image or "") or next(iter(self._of.values()))


def _evidence(sr: Dataset) -> Iterator[Dataset]:
    for study in sr.get("CurrentRequestedProcedureEvidenceSequence", ()):
        yield from study.ReferencedSeriesSequence


def _item(items: Sequence[Dataset], name: str) -> Dataset | None:
    return next((item for item in items if _name(item).value == name), None)


def _one(items: Sequence[Dataset], name: str) -> Dataset:
    item = _item(items, name)
    if item is None:
        raise ValueError(f"a measurement group has no {name}")
    return item


def _name(item: Dataset) -> Code:
    return _as_code(item.ConceptNameCodeSequence[0])


def _code(item: Dataset) -> Code:
    return _as_code(item.ConceptCodeSequence[0])


def _as_code(item: Dataset) -> Code:
    return Code(item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning)


def _presence(items: Sequence[Dataset], code: Code) -> Presence:
    stated = [_code(item).value for item in items if item.ValueType == "CODE" and _name(item) == code]
    return next((presence for presence, value in PRESENCES.items() if value.value in stated), "not stated")


def _modifier(item: Dataset, name: str) -> Code | None:
    modifier = _item(item.get("ContentSequence", ()), name)
    return _code(modifier) if modifier else None


def _unit(item: Dataset) -> Code:
    return _as_code(item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0])


def _value(item: Dataset) -> float:
    return float(item.MeasuredValueSequence[0].NumericValue)


def _is_score(item: Dataset) -> bool:
    if item.ValueType != "NUM":
        return False
    name = _name(item)
    return name.names_certainty or _unit(item) == SCORE_UNIT


def _is_measurement(item: Dataset) -> bool:
    return item.ValueType == "NUM" and not _is_score(item)


def _score(item: Dataset) -> Score:
    factor = 1.0 if _unit(item) == SCORE_UNIT else 0.01
    return Score(decimal(_value(item) * factor), _name(item))


def _measurement(item: Dataset) -> Measurement:
    derivation, method = _modifier(item, "121401"), _modifier(item, "370129005")
    return Measurement(_name(item), _value(item), _unit(item), derivation, method)


def _region(items: Sequence[Dataset]) -> Region | None:
    item = _item(items, "111030")
    if item is None:
        return None
    image = item.ContentSequence[0].ReferencedSOPSequence[0]
    frame = int(image.get("ReferencedFrameNumber", 1))
    points = tuple(float(value) for value in item.GraphicData)
    if item.GraphicType == "POINT":
        return Region("point", image.ReferencedSOPInstanceUID, frame, points)
    if points[:2] != points[-2:]:
        return Region("line", image.ReferencedSOPInstanceUID, frame, points)
    if _is_box(points):
        return Region("box", image.ReferencedSOPInstanceUID, frame, (*points[:2], *points[4:6]))
    return Region("polygon", image.ReferencedSOPInstanceUID, frame, points[:-2])


def _is_box(points: tuple[float, ...]) -> bool:
    """Drawn as boxes are: from the corner at the top left over the one at the top right."""
    left, top, right, bottom = *points[:2], *points[4:6]
    return points == (left, top, right, top, right, bottom, left, bottom, left, top)


def _image(items: Sequence[Dataset]) -> ImageReference | None:
    item = _item(items, "121112")
    if item is None:
        return None
    image = item.ReferencedSOPSequence[0]
    return ImageReference(image.ReferencedSOPInstanceUID, int(image.get("ReferencedFrameNumber", 1)))


def _segment(items: Sequence[Dataset]) -> SegmentReference | None:
    item = _item(items, "121191")
    if item is None:
        return None
    reference = item.ReferencedSOPSequence[0]
    return SegmentReference(reference.ReferencedSOPInstanceUID, int(reference.ReferencedSegmentNumber))
