"""Coded concepts of the result objects, and the identification of the algorithm that made them."""

from collections.abc import Mapping

from inference.findings import Code, ModelIdentity, Presence
from inference.results.elements import item
from inference.results.items import HAS_CONCEPT_MOD, code_item, coded, text_item

ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")  # CID 7162
COMMENT = Code("121106", "DCM", "Comment")
PRESENCES: Mapping[Presence, Code] = {
    "present": Code("52101004", "SCT", "Present"),
    "absent": Code("272519000", "SCT", "Absent"),
}

RENDERING_INTENT = Code("111056", "DCM", "Rendering Intent")
NOT_FOR_PRESENTATION = Code("111152", "DCM", "Not for Presentation: Rendering device expected not to present")

PERCENT = Code("%", "UCUM", "percent")
SCORE_UNIT = Code("{score}", "UCUM", "score")

# CID 100; what is not named here is an imaging procedure.
PROCEDURES: Mapping[str, Code] = {
    "CT": Code("25045-6", "LN", "CT unspecified body region"),
    "MR": Code("25056-3", "LN", "MRI unspecified body region"),
    "PT": Code("44136-0", "LN", "PET unspecified body region"),
    "CR": Code("43468-8", "LN", "XR unspecified body region"),
    "DX": Code("43468-8", "LN", "XR unspecified body region"),
}
IMAGING_PROCEDURE = Code("363679005", "SCT", "Imaging procedure")

# TID 4019
_NAME, _VERSION = Code("111001", "DCM", "Algorithm Name"), Code("111003", "DCM", "Algorithm Version")
_PARAMETERS = Code("111002", "DCM", "Algorithm Parameters")
_MANUFACTURER = Code("122405", "DCM", "Algorithm Manufacturer")
_FAMILY = Code("111000", "DCM", "Algorithm Family")

Algorithm = tuple[bytes, ...]
"""Content items of TID 4019; none for what no algorithm found."""


def parameters(model: ModelIdentity) -> list[str]:
    """What tells this run from another of the same model name (Algorithm Parameters, PS3.16 TID 4019)."""
    told = [f"model sha256 {model.digest}", f"card sha256 {model.card_digest}"]
    told += [f"{name} {value}" for name, value in model.runtime]
    return [*told, *(f"input {name} series {series}" for name, series in model.inputs)]


def report_algorithm(model: ModelIdentity) -> Algorithm:
    """TID 4019: name, version, manufacturer, parameters, family."""
    name, version, family = brief_algorithm(model.name, model.version)
    told = [text_item(HAS_CONCEPT_MOD, _PARAMETERS, each) for each in parameters(model)]
    return (name, version, text_item(HAS_CONCEPT_MOD, _MANUFACTURER, model.manufacturer), *told, family)


def brief_algorithm(name: str, version: str) -> Algorithm:
    """TID 4019 with what it must have."""
    return (
        text_item(HAS_CONCEPT_MOD, _NAME, name),
        text_item(HAS_CONCEPT_MOD, _VERSION, version),
        code_item(HAS_CONCEPT_MOD, _FAMILY, ARTIFICIAL_INTELLIGENCE),
    )


def segment_algorithm(model: ModelIdentity) -> bytes:
    """The same for the segments of a mask (Algorithm Identification Macro, PS3.3 10.16)."""
    told = ",".join(f"{number}={value}" for number, value in enumerate(parameters(model), 1))
    return item(
        AlgorithmSource=model.manufacturer,
        AlgorithmFamilyCodeSequence=[coded(ARTIFICIAL_INTELLIGENCE)],
        AlgorithmVersion=model.version,
        AlgorithmParameters=told,
        AlgorithmName=model.name,
    )
