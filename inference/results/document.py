"""Comprehensive 3D SR documents (PS3.3 A.35.13) after TID 1500, around their measurement groups."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from pydicom import Dataset

from inference.findings import Code
from inference.results.coding import IMAGING_PROCEDURE, PROCEDURES
from inference.results.context import COMPREHENSIVE_3D_SR_STORAGE, Report
from inference.results.elements import Elements, data_set, elements, item
from inference.results.encoding import dates, inherited, part10
from inference.results.items import CONTAINS, HAS_CONCEPT_MOD, code_item, coded, container, reference

_REPORT = Code("126000", "DCM", "Imaging Measurement Report")
_LANGUAGE = Code("121049", "DCM", "Language of Content Item and Descendants")
_ENGLISH = Code("en-US", "RFC5646", "English (United States)")
_PROCEDURE = Code("121058", "DCM", "Procedure reported")
_MEASUREMENTS = Code("126010", "DCM", "Imaging Measurements")


def document(
    sop: str,
    own: Elements,
    *,
    observer: Sequence[bytes],
    groups: Sequence[bytes],
    evidence: Sequence[Dataset],
    predecessors: Sequence[Report],
    at: datetime,
) -> bytes:
    """The Part 10 file of a report.

    Args:
        sop: its SOP Instance UID.
        own: Series Instance UID, equipment, flags, and what else tells it from others.
        observer: content items that say who or what observed (TID 1001).
        groups: the measurement groups, at least one.
        evidence: at least one image first, then what else the groups refer to; headers.
        predecessors: reports that this one supersedes.
        at: when.
    """
    first = evidence[0]
    own_study = [each for each in evidence if each.StudyInstanceUID == first.StudyInstanceUID]
    others = [each for each in evidence if each.StudyInstanceUID != first.StudyInstanceUID]
    written = inherited(first) | elements(
        Modality="SR",
        InstanceNumber=1,
        CompletionFlag="COMPLETE",
        PerformedProcedureCodeSequence=[],
        CurrentRequestedProcedureEvidenceSequence=_references(_placed(own_study)),
        **_content(observer, first, groups),
        **dates(at, first.get("TimezoneOffsetFromUTC"), "InstanceCreation", "Content", "Series"),
    )
    if others:
        written |= elements(PertinentOtherEvidenceSequence=_references(_placed(others)))
    if predecessors:
        places = ((each.study, each.series, COMPREHENSIVE_3D_SR_STORAGE, each.sop) for each in predecessors)
        written |= elements(PredecessorDocumentsSequence=_references(places))
    return part10(COMPREHENSIVE_3D_SR_STORAGE, sop, written | own)


def _content(observer: Sequence[bytes], image: Dataset, groups: Sequence[bytes]) -> dict[str, Any]:
    """The root of the content tree (TID 1500)."""
    procedure = PROCEDURES.get(image.get("Modality", ""), IMAGING_PROCEDURE)
    return {
        "ValueType": "CONTAINER",
        "ConceptNameCodeSequence": [coded(_REPORT)],
        "ContinuityOfContent": "CONTINUOUS",
        "ContentTemplateSequence": [item(MappingResource="DCMR", TemplateIdentifier="1500")],
        "ContentSequence": [
            code_item(HAS_CONCEPT_MOD, _LANGUAGE, _ENGLISH),
            *observer,
            code_item(HAS_CONCEPT_MOD, _PROCEDURE, procedure),
            container(CONTAINS, _MEASUREMENTS, groups),
        ],
    }


_Place = tuple[str, str, str, str]
"""Study, series, SOP Class and SOP Instance."""


def _placed(evidence: Iterable[Dataset]) -> Iterable[_Place]:
    for each in evidence:
        yield each.StudyInstanceUID, each.SeriesInstanceUID, each.SOPClassUID, each.SOPInstanceUID


def _references(places: Iterable[_Place]) -> list[bytes]:
    """Hierarchical SOP Instance Reference Macro (PS3.3 C.17.2.1): each once, in the order of their coming."""
    studies: dict[str, dict[str, dict[str, bytes]]] = {}
    for study, series, sop_class, sop in places:
        known = studies.setdefault(study, {}).setdefault(series, {})
        known.setdefault(sop, data_set(reference(sop_class, sop)))
    return [
        item(StudyInstanceUID=study, ReferencedSeriesSequence=[_series(*each) for each in found.items()])
        for study, found in studies.items()
    ]


def _series(uid: str, instances: dict[str, bytes]) -> bytes:
    return item(SeriesInstanceUID=uid, ReferencedSOPSequence=list(instances.values()))
