"""What one association is offered: the presentation contexts of the node, as far as its peer may use them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import copy
from typing import Any

from pynetdicom.presentation import PresentationContext

from dicom_node.contexts import QUERY_CLASSES, storage_context
from dicom_node.non_patient import NON_PATIENT_FIND
from dicom_node.peers import Peer

STORAGE_SERVICE_CLASS = "1.2.840.10008.4.2"
_VERIFICATION = "1.2.840.10008.1.1"
_SERVICES = {
    _VERIFICATION: "echo",
    "1.2.840.10008.1.20.1": "commit",
    "1.2.840.10008.5.1.4.31": "worklist",
    "1.2.840.10008.5.1.4.33": "availability",
    **dict.fromkeys(NON_PATIENT_FIND, "find"),
}
_FAMILIES = {"1.2.840.10008.3.1.2.3.": "mpps", "1.2.840.10008.5.1.4.34.6.": "ups"}


def service_of(abstract_syntax: str) -> str:
    """What a SOP class is for: echo, store, find, get, move, commit, worklist, mpps, ups or availability."""
    if abstract_syntax in QUERY_CLASSES:
        return QUERY_CLASSES[abstract_syntax].service
    family = next((name for start, name in _FAMILIES.items() if abstract_syntax.startswith(start)), "store")
    return _SERVICES.get(abstract_syntax, family)


def only_stores(abstract_syntaxes: Iterable[str]) -> bool:
    """The association is for storing, and for nothing else but verification."""
    return {service_of(each) for each in abstract_syntaxes} - {"echo"} == {"store"}


def offered(
    contexts: Sequence[Any], peer: Peer, *, retrieved: Collection[str], declared: Mapping[str, str]
) -> Sequence[Any]:
    """The contexts a peer may use.

    Args:
        contexts: those of the node.
        peer: who asks.
        retrieved: SOP classes that it proposes to be the SCP of, which C-GET needs.
        declared: service class of SOP classes, from SOP Class Common Extended Negotiation (PS3.7 D.3.3.6):
            storage classes we have never heard of are taken as such.
    """
    known = {str(context.abstract_syntax) for context in contexts}
    unknown = [uid for uid, of in declared.items() if of == STORAGE_SERVICE_CLASS and uid not in known]
    limits = (peer.services, peer.sop_classes, peer.transfer_syntaxes)
    if all(limit is None for limit in limits) and not unknown:
        return contexts
    every = [*contexts, *(storage_context(uid) for uid in unknown)]
    return [narrow for each in every if (narrow := _narrowed(each, peer, retrieved)) is not None]


def _narrowed(context: Any, peer: Peer, retrieved: Collection[str]) -> Any | None:
    uid = str(context.abstract_syntax)
    service = service_of(uid)
    if service == "store":
        return _storage(context, peer, as_scp=uid in retrieved)
    return context if peer.services is None or service in {"echo", *peer.services} else None


def _storage(context: PresentationContext, peer: Peer, *, as_scp: bool) -> PresentationContext | None:
    services = {"store", "get"} if peer.services is None else peer.services
    if peer.sop_classes is not None and str(context.abstract_syntax) not in peer.sop_classes:
        return None
    stores, gets = "store" in services, "get" in services and as_scp
    if not stores and not gets:
        return None
    narrow = copy(context)
    narrow.scu_role, narrow.scp_role = stores, "get" in services
    if peer.transfer_syntaxes is not None:
        taken = [each for each in peer.transfer_syntaxes if each in context.transfer_syntax]
        if not taken:
            return None
        narrow.transfer_syntax = taken
    return narrow
