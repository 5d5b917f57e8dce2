"""Coded concepts of the result objects, and the identification of the algorithm that made them."""

from collections.abc import Mapping

import highdicom as hd
from highdicom.sr import CodedConcept

from inference.findings import Code, ModelIdentity, Presence

ARTIFICIAL_INTELLIGENCE = CodedConcept("123110", "DCM", "Artificial Intelligence")  # CID 7162
COMMENT = CodedConcept("121106", "DCM", "Comment")
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


def concept(code: Code) -> CodedConcept:
    """The code as highdicom takes it."""
    return CodedConcept(code.value, code.scheme, code.meaning)


def parameters(model: ModelIdentity) -> list[str]:
    """What tells this run from another of the same model name (Algorithm Parameters, PS3.16 TID 4019)."""
    told = [f"model sha256 {model.digest}", f"card sha256 {model.card_digest}"]
    told += [f"{name} {value}" for name, value in model.runtime]
    return [*told, *(f"input {name} series {series}" for name, series in model.inputs)]


def report_algorithm(model: ModelIdentity) -> hd.sr.AlgorithmIdentification:
    """TID 4019: name, version, manufacturer, parameters, family."""
    return hd.sr.AlgorithmIdentification(
        name=model.name,
        version=model.version,
        parameters=parameters(model),
        family=ARTIFICIAL_INTELLIGENCE,
        manufacturer=model.manufacturer,
    )


def segment_algorithm(model: ModelIdentity) -> hd.AlgorithmIdentificationSequence:
    """The same for the segments of a mask (Algorithm Identification Macro, PS3.3 10.16)."""
    return hd.AlgorithmIdentificationSequence(
        name=model.name,
        family=ARTIFICIAL_INTELLIGENCE,
        version=model.version,
        source=model.manufacturer,
        parameters={str(number): value for number, value in enumerate(parameters(model), 1)},
    )
