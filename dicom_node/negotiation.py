"""Extended negotiation as an acceptor (PS3.7 D.3.3): from what a peer proposes to what we agree to."""

from collections.abc import Sequence
from typing import Any

from pynetdicom.events import Event
from pynetdicom.pdu_primitives import AsynchronousOperationsWindowNegotiation, UserIdentityNegotiation

from dicom_node import subject
from dicom_node.contexts import QUERY_CLASSES
from dicom_node.identity import Claim, Known
from dicom_node.non_patient import NON_PATIENT_FIND
from dicom_node.offer import offered, service_of
from dicom_node.peers import Peer
from dicom_node.policy import Caller

WINDOW = 32
"""Requests a peer may send without waiting for answers; they are performed in order."""
_ONE_AFTER_THE_OTHER = (1, 1)
COMBINED, FUZZY, ZONES = 1, 2, 3
"""Bytes of the application information (PS3.4 C.5.1.1.1) that ask for combined datetime matching, fuzzy
matching, time zone adjustment."""
# PS3.4 Table B.3-2: level 2 (full), signatures survive (level 3), nothing is coerced; the rest is reserved.
_STORAGE_SUPPORT = bytes((2, 0, 3, 0, 0, 0))


def caller_of(assoc: Any) -> Caller:
    """Who asks for an association."""
    request = assoc.requestor.primitive
    return Caller(
        request.calling_ae_title.strip(),
        request.called_ae_title.strip(),
        assoc.requestor.address_info.address,
        subject.of(assoc.dul.socket.socket),
        _claim(assoc.requestor.user_identity),
    )


def _claim(identity: UserIdentityNegotiation | None) -> Claim | None:
    if identity is None:
        return None
    return Claim(
        identity.user_identity_type,
        identity.primary_field or b"",
        identity.secondary_field or b"",
        response_wanted=identity.positive_response_requested,
    )


def proposed(assoc: Any) -> list[str]:
    """The abstract syntaxes of the request."""
    return [
        str(context.abstract_syntax)
        for context in assoc.requestor.primitive.presentation_context_definition_list
    ]


def narrow(assoc: Any, contexts: Sequence[Any], peer: Peer) -> None:
    """Offer the presentation contexts that the peer may use."""
    requestor = assoc.requestor
    assoc.acceptor.supported_contexts = offered(
        contexts,
        peer,
        retrieved={str(uid) for uid, role in requestor.role_selection.items() if role.scp_role},
        declared={
            str(uid): str(item.service_class_uid) for uid, item in requestor.sop_class_common_extended.items()
        },
    )


def offer_window(assoc: Any) -> None:
    """Let the peer have several requests outstanding, if it asks for that (PS3.7 D.3.3.3)."""
    invoked, _ = assoc.requestor.asynchronous_operations
    if assoc.requestor.asynchronous_operations == _ONE_AFTER_THE_OTHER:
        return
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = min(invoked or WINDOW, WINDOW)
    window.maximum_number_operations_performed = 1  # our sub-operations wait for their answers
    assoc.acceptor.add_negotiation_item(window)


def answer_identity(assoc: Any, user: Known) -> None:
    """Tell the peer that its user is believed, if it asked."""
    if user.response is not None:
        item = UserIdentityNegotiation()
        item.server_response = user.response
        assoc.acceptor.add_negotiation_item(item)


def agreed(event: Event) -> dict[str, bytes]:
    """What of SOP Class Extended Negotiation (PS3.7 D.3.3.5) we agree to."""
    told = {}
    for uid, wanted in event.app_info.items():
        if wanted and (uid in QUERY_CLASSES or _is_worklist(uid) or service_of(str(uid)) == "store"):
            told[str(uid)] = _information(str(uid), wanted)
    return told


def _is_worklist(uid: str) -> bool:
    """Negotiated as worklists are (PS3.4 K.5, and U.5, X.5, BB.5, HH.5)."""
    return service_of(uid) == "worklist" or uid in NON_PATIENT_FIND


def _information(uid: str, wanted: bytes) -> bytes:
    """Service-class-application-information as long as it was asked for.

    Storage: PS3.4 B.3.1.2. Query (C.5.1.1.1): relational queries always, combined datetime matching,
    fuzzy matching and time zone adjustment where asked for; not the views on enhanced multi-frame images.
    Retrieval (C.5.2.1.1, C.5.3.1.1): relational retrieval. Worklists (K.5.1): fuzzy matching where asked for.
    """
    if _is_worklist(uid):
        known = bytes((1, 1, *(min(each, 1) for each in wanted[FUZZY : FUZZY + 1])))
    elif uid not in QUERY_CLASSES:
        known = _STORAGE_SUPPORT
    elif QUERY_CLASSES[uid].service == "find":
        known = bytes((1, *(min(each, 1) for each in wanted[COMBINED : ZONES + 1])))
    else:
        known = b"\1"
    return known[: len(wanted)].ljust(len(wanted), b"\0")
