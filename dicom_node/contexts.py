"""What the node accepts: storage SOP classes, every transfer syntax of stored objects, and queries."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pynetdicom.presentation import AllStoragePresentationContexts, PresentationContext, build_context
from pynetdicom.sop_class import Verification

from storage.non_patient import SOP_CLASSES
from storage.transfer_syntax import TRANSFER_SYNTAXES

# Storage SOP classes of PS3.6 Table A-1 that pynetdicom does not list: retired ones, which old archives
# still send, and those of DICOS and DICONDE.
_FURTHER_SOP_CLASSES = (
    "1.2.840.10008.5.1.1.27",
    "1.2.840.10008.5.1.1.29",
    "1.2.840.10008.5.1.1.30",
    "1.2.840.10008.5.1.4.1.1.3",
    "1.2.840.10008.5.1.4.1.1.5",
    "1.2.840.10008.5.1.4.1.1.6",
    "1.2.840.10008.5.1.4.1.1.8",
    "1.2.840.10008.5.1.4.1.1.9",
    "1.2.840.10008.5.1.4.1.1.9.1",
    "1.2.840.10008.5.1.4.1.1.10",
    "1.2.840.10008.5.1.4.1.1.11",
    "1.2.840.10008.5.1.4.1.1.12.3",
    "1.2.840.10008.5.1.4.1.1.77.1",
    "1.2.840.10008.5.1.4.1.1.77.2",
    "1.2.840.10008.5.1.4.1.1.88.1",
    "1.2.840.10008.5.1.4.1.1.88.2",
    "1.2.840.10008.5.1.4.1.1.88.3",
    "1.2.840.10008.5.1.4.1.1.88.4",
    "1.2.840.10008.5.1.4.1.1.129",
    "1.2.840.10008.5.1.4.1.1.501.1",
    "1.2.840.10008.5.1.4.1.1.501.2.1",
    "1.2.840.10008.5.1.4.1.1.501.2.2",
    "1.2.840.10008.5.1.4.1.1.501.3",
    "1.2.840.10008.5.1.4.1.1.501.4",
    "1.2.840.10008.5.1.4.1.1.501.5",
    "1.2.840.10008.5.1.4.1.1.501.6",
    "1.2.840.10008.5.1.4.1.1.601.1",
    "1.2.840.10008.5.1.4.1.1.601.2",
    "1.2.840.10008.5.1.4.34.1",
)

STORAGE_SOP_CLASSES: tuple[str, ...] = tuple(
    sorted({str(cx.abstract_syntax) for cx in AllStoragePresentationContexts} | {*_FURTHER_SOP_CLASSES})
)
NON_PATIENT_SOP_CLASSES: tuple[str, ...] = tuple(sorted(SOP_CLASSES))
"""Of objects without a study (PS3.4 GG.3)."""


def _preference(uid: str) -> tuple[bool, bool, str]:
    syntax = TRANSFER_SYNTAXES[uid]
    return syntax.encapsulated or syntax.deflated, syntax.lossy, uid


STORAGE_TRANSFER_SYNTAXES: tuple[str, ...] = (
    # Of several that a peer offers in one presentation context the first of these is taken: one that names
    # the VRs, then what needs no decoder, then what loses nothing.
    "1.2.840.10008.1.2.1",
    *sorted(TRANSFER_SYNTAXES.keys() - {"1.2.840.10008.1.2.1"}, key=_preference),
)

# PS3.4 A.4 has no data set, so any transfer syntax does.
_VERIFICATION_TRANSFER_SYNTAXES = (
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
)

Service = Literal["find", "get", "move"]
QueryLevel = Literal["PATIENT", "STUDY", "SERIES", "IMAGE"]


@dataclass(frozen=True, slots=True)
class QueryClass:
    """A SOP class of the Query/Retrieve Service Class (PS3.4 C.6)."""

    name: str
    service: Service
    levels: tuple[QueryLevel, ...]
    """Values of Query/Retrieve Level (0008,0052) that are valid in it."""
    retired: bool = False


_MODELS: tuple[tuple[str, str, tuple[QueryLevel, ...], bool], ...] = (
    ("1.2.840.10008.5.1.4.1.2.1", "Patient Root", ("PATIENT", "STUDY", "SERIES", "IMAGE"), False),
    ("1.2.840.10008.5.1.4.1.2.2", "Study Root", ("STUDY", "SERIES", "IMAGE"), False),
    ("1.2.840.10008.5.1.4.1.2.3", "Patient/Study Only", ("PATIENT", "STUDY"), True),
)
_SERVICES: tuple[tuple[str, Service], ...] = ((".1", "find"), (".2", "move"), (".3", "get"))

QUERY_CLASSES: dict[str, QueryClass] = {
    model + end: QueryClass(f"{name} Query/Retrieve - {service.upper()}", service, levels, retired)
    for model, name, levels, retired in _MODELS
    for end, service in _SERVICES
}
"""By UID."""

QUERY_TRANSFER_SYNTAXES = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")


def storage_context(uid: str) -> PresentationContext:
    """A storage SOP class in every transfer syntax, in both roles."""
    context = build_context(uid, list(STORAGE_TRANSFER_SYNTAXES))
    # A peer that retrieves by C-GET proposes to be the SCP (PS3.4 C.5.3.1.1).
    context.scu_role = context.scp_role = True
    return context


def supported_contexts(
    private_sop_classes: Iterable[str] = (), *, patient_study_only: bool = False, further: Iterable[str] = ()
) -> list[PresentationContext]:
    """The presentation contexts of the node as an acceptor: verification, storage, query and retrieval.

    Args:
        private_sop_classes: UIDs to be stored beyond those of the standard.
        patient_study_only: accept the retired Patient/Study Only information model as well.
        further: SOP classes of other services.
    """
    storage = sorted({*STORAGE_SOP_CLASSES, *NON_PATIENT_SOP_CLASSES, *private_sop_classes})
    queries = [uid for uid, each in QUERY_CLASSES.items() if patient_study_only or not each.retired]
    return [
        build_context(Verification, list(_VERIFICATION_TRANSFER_SYNTAXES)),
        *(storage_context(uid) for uid in storage),
        *(build_context(uid, list(QUERY_TRANSFER_SYNTAXES)) for uid in dict.fromkeys((*queries, *further))),
    ]
