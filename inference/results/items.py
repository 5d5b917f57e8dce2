"""Content items of structured reports (PS3.3 C.17.3), as bytes."""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from inference.findings import Code
from inference.results.elements import Elements, data_set, elements, item

CONTAINS, INFERRED_FROM, SELECTED_FROM = "CONTAINS", "INFERRED FROM", "SELECTED FROM"
HAS_CONCEPT_MOD, HAS_OBS_CONTEXT = "HAS CONCEPT MOD", "HAS OBS CONTEXT"

SOURCE = Code("260753009", "SCT", "Source")
_CODES = 4096
_LONGEST_VALUE = 16


@lru_cache(_CODES)
def coded(code: Code, modifier: Code | None = None) -> bytes:
    """An item of a code sequence (PS3.3 8.8), `modifier` as its Segmented Property Type Modifier."""
    # Values of more characters are in an attribute of their own (PS3.3 table 8.8-1).
    name = "CodeValue" if len(code.value) <= _LONGEST_VALUE else "LongCodeValue"
    made = elements(**{name: code.value}, CodingSchemeDesignator=code.scheme, CodeMeaning=code.meaning)
    if modifier is not None:
        made |= elements(SegmentedPropertyTypeModifierCodeSequence=[coded(modifier)])
    return data_set(made)


def code_item(relationship: str, name: Code, value: Code, below: Sequence[bytes] = ()) -> bytes:
    """CODE."""
    return _item(relationship, "CODE", name, elements(ConceptCodeSequence=[coded(value)]), below)


def text_item(relationship: str, name: Code, value: str) -> bytes:
    """TEXT."""
    return _item(relationship, "TEXT", name, elements(TextValue=value))


def uid_item(relationship: str, name: Code, value: str) -> bytes:
    """UIDREF."""
    return _item(relationship, "UIDREF", name, elements(UID=value))


def person_item(relationship: str, name: Code, value: str) -> bytes:
    """PNAME."""
    return _item(relationship, "PNAME", name, elements(PersonName=value))


def number_item(name: Code, value: float, unit: Code, below: Sequence[bytes] = ()) -> bytes:
    """NUM, contained; `value` also as a floating point number (PS3.3 C.18.1)."""
    measured = item(MeasurementUnitsCodeSequence=[coded(unit)], FloatingPointValue=value, NumericValue=value)
    return _item(CONTAINS, "NUM", name, elements(MeasuredValueSequence=[measured]), below)


def image_item(
    relationship: str,
    name: Code,
    sop_class: str,
    sop: str,
    *,
    frame: int | None = None,
    segment: int | None = None,
) -> bytes:
    """IMAGE: an instance, a frame or a segment of it."""
    referenced = reference(sop_class, sop)
    if frame is not None:
        referenced |= elements(ReferencedFrameNumber=frame)
    if segment is not None:
        referenced |= elements(ReferencedSegmentNumber=segment)
    return _item(relationship, "IMAGE", name, elements(ReferencedSOPSequence=[data_set(referenced)]))


def coordinates_item(
    relationship: str, name: Code, graphic: str, points: Iterable[float], image: bytes
) -> bytes:
    """SCOORD (PS3.3 C.18.6) on `image`, a content item; `points` as columns and rows by turns."""
    return _item(
        relationship, "SCOORD", name, elements(GraphicData=list(points), GraphicType=graphic), [image]
    )


def container(relationship: str, name: Code, below: Sequence[bytes], template: str = "") -> bytes:
    """CONTAINER of `below`, after a template of PS3.16 where one is named."""
    own = elements(ContinuityOfContent="CONTINUOUS")
    if template:
        own |= elements(ContentTemplateSequence=[item(MappingResource="DCMR", TemplateIdentifier=template)])
    return _item(relationship, "CONTAINER", name, own, below)


def reference(sop_class: str, sop: str) -> Elements:
    """SOP Instance Reference Macro (PS3.3 table 10-11)."""
    return elements(ReferencedSOPClassUID=sop_class, ReferencedSOPInstanceUID=sop)


def _item(relationship: str, kind: str, name: Code, own: Elements, below: Sequence[bytes] = ()) -> bytes:
    own |= elements(RelationshipType=relationship, ValueType=kind, ConceptNameCodeSequence=[coded(name)])
    if below:
        own |= elements(ContentSequence=below)
    return data_set(own)
