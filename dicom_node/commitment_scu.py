"""Asking another archive whether it keeps what it was sent (PS3.4 J, as an SCU)."""

import queue
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, evt
from pynetdicom.presentation import build_context

from dicom_node.commitment import REQUEST_COMMITMENT, SOP_CLASS, WELL_KNOWN_INSTANCE
from dicom_node.contexts import QUERY_TRANSFER_SYNTAXES
from dicom_node.requestor import AssociationFailed
from dicom_node.scu import Remote, association
from dicom_node.status import PROCESSING_FAILURE, REFUSED_NOT_AUTHORIZED, SUCCESS
from storage.commitment import Reference

_KEPT_OPEN = 5.0
"""Seconds in which an archive that may call us back can still answer on the association of the request."""


@dataclass(frozen=True, slots=True)
class Promised:
    """What an archive says of the instances it was asked for."""

    committed: tuple[Reference, ...]
    failed: tuple[tuple[Reference, int], ...]
    """With values of Failure Reason (0008,1197)."""
    unanswered: tuple[Reference, ...]
    """The answer does not name them."""

    @property
    def complete(self) -> bool:
        """Everything is safe."""
        return not self.failed and not self.unanswered


def commit(
    remote: Remote,
    references: Sequence[Reference],
    *,
    listen: tuple[str, int] | None = None,
    wait: float = 60,
) -> Promised:
    """Ask for storage commitment and wait for the answer.

    Args:
        remote: who is asked.
        references: for which instances.
        listen: host and port where the archive may answer on an association of its own; without it the
            association is kept open for its answer.
        wait: seconds until the answer must be there.

    Raises:
        AssociationFailed: the archive does not take the request, or did not answer in time.
        OSError: nobody can listen there.
    """
    asked = _request(references)
    told: queue.Queue[Dataset] = queue.Queue()
    handler = (evt.EVT_N_EVENT_REPORT, lambda event: _heard(event, remote, asked.TransactionUID, told))
    with _listening(remote, listen, handler):
        deadline = time.monotonic() + wait
        with association(remote, [build_context(SOP_CLASS, list(QUERY_TRANSFER_SYNTAXES))], handler) as assoc:
            _send(assoc, asked)
            answer = _answer(told, min(wait, _KEPT_OPEN) if listen else wait)
        answer = answer or _answer(told, deadline - time.monotonic() if listen else 0)
    if answer is None:
        raise AssociationFailed(f"no answer to the storage commitment request within {wait:g} s")
    return _promised(references, answer)


def _request(references: Sequence[Reference]) -> Dataset:
    asked = Dataset()
    asked.TransactionUID = generate_uid(prefix="2.25.")
    asked.ReferencedSOPSequence = []
    for reference in references:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = reference.sop_class, reference.sop
        asked.ReferencedSOPSequence.append(item)
    return asked


def _send(assoc: Any, asked: Dataset) -> None:
    status, _ = assoc.send_n_action(asked, REQUEST_COMMITMENT, SOP_CLASS, WELL_KNOWN_INSTANCE)
    if "Status" not in status:
        raise AssociationFailed("the association ended before the answer to the request")
    if status.Status != SUCCESS:
        reason = status.get("ErrorComment", "")
        raise AssociationFailed(f"the peer refuses with status 0x{status.Status:04X} {reason}".rstrip())


def _heard(event: Any, remote: Remote, transaction: str, told: "queue.Queue[Dataset]") -> tuple[int, None]:
    # On associations that are opened to us nobody has looked at the certificate yet.
    if not remote.is_at(event.assoc):
        return REFUSED_NOT_AUTHORIZED, None
    try:
        information = event.event_information
        if information.get("TransactionUID") != transaction:
            return PROCESSING_FAILURE, None
        told.put(information)
    except Exception:  # noqa: BLE001 - whatever it is, it cannot be read
        return PROCESSING_FAILURE, None
    return SUCCESS, None


def _answer(told: "queue.Queue[Dataset]", seconds: float) -> Dataset | None:
    try:
        return told.get(timeout=max(seconds, 0.001))
    except queue.Empty:
        return None


@contextmanager
def _listening(remote: Remote, listen: tuple[str, int] | None, handler: Any) -> Iterator[None]:
    if listen is None:
        yield
        return
    entity = AE(remote.calling_aet)
    entity.add_supported_context(SOP_CLASS, list(QUERY_TRANSFER_SYNTAXES), scu_role=False, scp_role=True)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = remote.timeout
    server = entity.start_server(listen, block=False, evt_handlers=[handler], ssl_context=remote.accepting)
    try:
        yield
    finally:
        server.shutdown()


def _promised(references: Sequence[Reference], answer: Dataset) -> Promised:
    committed = {str(each.ReferencedSOPInstanceUID) for each in answer.get("ReferencedSOPSequence") or ()}
    failed = {
        str(each.ReferencedSOPInstanceUID): int(each.get("FailureReason") or 0)
        for each in answer.get("FailedSOPSequence") or ()
    }
    return Promised(
        tuple(each for each in references if each.sop in committed - failed.keys()),
        tuple((each, failed[each.sop]) for each in references if each.sop in failed),
        tuple(each for each in references if each.sop not in committed | failed.keys()),
    )
