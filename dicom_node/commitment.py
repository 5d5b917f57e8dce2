"""Storage Commitment Push Model as an SCP (PS3.4 J.3): requests are kept, checked, and answered."""

import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from dicom_node.channel import PeerGone
from dicom_node.identifier import Attributes, Identifier
from dicom_node.normalized import NormalizedRequest, Unsuccessful
from dicom_node.status import (
    INVALID_ARGUMENT_VALUE,
    NO_SUCH_ACTION,
    NO_SUCH_SOP_INSTANCE,
    SUCCESS,
    UNRECOGNIZED_OPERATION,
    Answer,
)
from storage.archive import Archive
from storage.commitment import Commitment, Reference, Verdict, check
from storage.errors import InvalidInstance, InvalidQuery, StorageError
from storage.instances import checked_uid
from storage.sql.commitments import SqlCommitments

log = logging.getLogger(__name__)

SOP_CLASS = "1.2.840.10008.1.20.1"
WELL_KNOWN_INSTANCE = "1.2.840.10008.1.20.1.1"
REQUEST_COMMITMENT = 1
"""Action Type ID (PS3.4 J.3.2)."""
ALL_COMMITTED, SOME_FAILED = 1, 2
"""Event Type IDs (PS3.4 J.3.3)."""

TRANSACTION_UID, RETRIEVE_AE_TITLE = "00081195", "00080054"
REFERENCED_SOP_SEQUENCE, FAILED_SOP_SEQUENCE = "00081199", "00081198"
SOP_CLASS_UID, SOP_INSTANCE_UID, FAILURE_REASON = "00081150", "00081155", "00081197"

_CHECK_SECONDS = 30
"""How long a check may take while the peer keeps its association open."""
LEASE = timedelta(minutes=10)
"""How long one attempt to answer may take."""


def now() -> datetime:
    """The time, aware."""
    return datetime.now(UTC)


def information(commitment: Commitment, verdict: Verdict, aet: str) -> Attributes:
    """Event Information (PS3.4 Table J.3-2)."""

    def item(reference: Reference, reason: int | None = None) -> Attributes:
        told: Attributes = {
            SOP_CLASS_UID: {"vr": "UI", "Value": [reference.sop_class]},
            SOP_INSTANCE_UID: {"vr": "UI", "Value": [reference.sop]},
        }
        return told if reason is None else told | {FAILURE_REASON: {"vr": "US", "Value": [reason]}}

    told: Attributes = {
        TRANSACTION_UID: {"vr": "UI", "Value": [commitment.transaction]},
        RETRIEVE_AE_TITLE: {"vr": "AE", "Value": [aet]},
    }
    if verdict.committed:
        told[REFERENCED_SOP_SEQUENCE] = {"vr": "SQ", "Value": [item(each) for each in verdict.committed]}
    if verdict.failed:
        told[FAILED_SOP_SEQUENCE] = {"vr": "SQ", "Value": [item(*each) for each in verdict.failed]}
    return told


def event_type(verdict: Verdict) -> int:
    """Event Type ID (PS3.4 J.3.3.1)."""
    return SOME_FAILED if verdict.failed else ALL_COMMITTED


class StorageCommitment:
    """Takes requests, and answers them on the same association while it is open."""

    sop_classes: Mapping[str, str] = {SOP_CLASS: "Storage Commitment Push Model"}

    def __init__(
        self,
        archive: Archive,
        commitments: SqlCommitments,
        *,
        aet: str,
        read_up_to: int,
        same_association: bool = True,
    ) -> None:
        """Keep what is needed.

        Args:
            archive: which commits itself.
            commitments: where requests are kept until they are answered.
            aet: our AE title, from which the instances can be retrieved.
            read_up_to: bytes; bigger files are not read again for their digest.
            same_association: answer there if it can be; otherwise always on a new association.
        """
        self._archive = archive
        self._commitments = commitments
        self._aet = aet
        self._read_up_to = read_up_to
        self._same_association = same_association

    def serve(self, request: NormalizedRequest) -> None:
        """Answer an N-ACTION with success when the request is kept (PS3.4 J.3.2)."""
        _check_action(request)
        asked = _asked(request.data_set(), request.channel.peer)
        lease = LEASE if self._same_association else timedelta()
        try:
            commitment = self._commitments.add(asked, lease=lease)
        except InvalidQuery as error:
            raise Unsuccessful(Answer(INVALID_ARGUMENT_VALUE, str(error))) from error
        log.info("%s asks to commit %d instances", commitment.peer, len(commitment.references))
        request.respond(Answer(SUCCESS))
        if self._same_association:
            self._report(request, commitment)

    def _report(self, request: NormalizedRequest, commitment: Commitment) -> None:
        """Tell the peer while it listens; otherwise leave it to `commitment_reports`."""
        deadline = time.monotonic() + _CHECK_SECONDS

        def still_listens() -> None:
            if request.channel.is_leaving() or time.monotonic() > deadline:
                raise PeerGone("it leaves, or would have to wait long")

        try:
            verdict = check(
                self._archive, commitment.references, read_up_to=self._read_up_to, before_each=still_listens
            )
            still_listens()
            answer = request.report(event_type(verdict), information(commitment, verdict, self._aet))
            if answer.status == SUCCESS:
                self._commitments.told(commitment, len(verdict.failed))
                return
        except (PeerGone, StorageError) as error:
            log.info("%s is not told on its association: %s", commitment.peer, error)
        self._commitments.later(commitment, now())


def _check_action(request: NormalizedRequest) -> None:
    if request.operation != "N-ACTION":
        reason = f"{request.operation} is no operation of storage commitment"
        raise Unsuccessful(Answer(UNRECOGNIZED_OPERATION, reason))
    if request.sop != WELL_KNOWN_INSTANCE:
        raise Unsuccessful(Answer(NO_SUCH_SOP_INSTANCE, f"not the well-known instance {WELL_KNOWN_INSTANCE}"))
    if request.action_type != REQUEST_COMMITMENT:
        raise Unsuccessful(Answer(NO_SUCH_ACTION, f"no action of type {request.action_type}"))


def _asked(identifier: Identifier, peer: str) -> Commitment:
    """The request in Action Information (PS3.4 Table J.3-1). Raises `InvalidInstance`."""
    transaction = checked_uid(identifier.text(TRANSACTION_UID), "TransactionUID")
    items = identifier.attributes.get(REFERENCED_SOP_SEQUENCE, {}).get("Value", ())
    references = tuple(dict.fromkeys(_reference(Identifier(item or {}, ())) for item in items))
    if not references:
        raise InvalidInstance("ReferencedSOPSequence has no item")
    return Commitment(transaction, peer, references, now())


def _reference(item: Identifier) -> Reference:
    return Reference(
        checked_uid(item.text(SOP_CLASS_UID), "ReferencedSOPClassUID"),
        checked_uid(item.text(SOP_INSTANCE_UID), "ReferencedSOPInstanceUID"),
    )
