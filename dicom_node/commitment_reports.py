"""Storage Commitment Push Model as an SCP, on associations of our own (PS3.4 J.3.3)."""

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import groupby

from dicom_node.commitment import LEASE, SOP_CLASS, WELL_KNOWN_INSTANCE, event_type, information, now
from dicom_node.contexts import QUERY_TRANSFER_SYNTAXES
from dicom_node.destinations import Destinations
from dicom_node.identifier import write_identifier
from dicom_node.requestor import AssociationFailed
from dicom_node.status import SUCCESS, Answer
from storage.archive import Archive
from storage.commitment import Commitment, Verdict, check
from storage.errors import StorageError
from storage.sql.commitments import SqlCommitments

log = logging.getLogger(__name__)

_FIRST_DELAY, _LONGEST_DELAY = timedelta(seconds=10), timedelta(hours=1)
_POLL_SECONDS = 1.0
_AT_ONCE = 4


class CommitmentReports:
    """Answers what was asked for on associations of its own, with retries; one or many may run."""

    def __init__(
        self,
        archive: Archive,
        commitments: SqlCommitments,
        *,
        aet: str,
        destinations: Callable[[], Destinations],
        read_up_to: int,
        max_attempts: int,
        timeout: float = 60,
    ) -> None:
        """Open nothing.

        Args:
            archive: which commits itself.
            commitments: requests that wait.
            aet: our AE title.
            destinations: the peers that can be told.
            read_up_to: bytes; bigger files are not read again for their digest.
            max_attempts: after as many a peer is given up.
            timeout: seconds to wait for each answer of a peer.
        """
        self._archive = archive
        self._commitments = commitments
        self._aet = aet
        self._destinations = destinations
        self._read_up_to = read_up_to
        self._max_attempts = max_attempts
        self._timeout = timeout

    def run(self, stopped: threading.Event) -> None:
        """Tell peers until `stopped`; a database that does not answer delays, and ends nothing."""
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="commitment") as threads:
            while not stopped.wait(_POLL_SECONDS):
                try:
                    due = self._commitments.take_due(now(), LEASE)
                except StorageError as error:
                    log.warning("storage commitments wait: %s", error)
                    continue
                # A peer that does not answer holds up its own requests alone.
                for _, group in groupby(sorted(due, key=_peer_of), _peer_of):
                    threads.submit(self._tell_all, list(group), stopped)

    def _tell_all(self, commitments: Sequence[Commitment], stopped: threading.Event) -> None:
        for commitment in commitments:
            try:
                if stopped.is_set():
                    self._commitments.later(commitment, now())
                else:
                    self.tell(commitment)
            except Exception:
                # It stays leased, and is tried again after that.
                log.exception("storage commitment %s of %s", commitment.transaction, commitment.peer)

    def tell(self, commitment: Commitment) -> bool:
        """Check and tell the peer; whether it knows now. Raises `StorageError`."""
        try:
            verdict = check(self._archive, commitment.references, read_up_to=self._read_up_to)
            answer = self._told(commitment, verdict)
        except (AssociationFailed, StorageError) as error:
            return self._failed(commitment, str(error))
        if answer.status != SUCCESS:
            return self._failed(commitment, f"it answers 0x{answer.status:04X} {answer.reason}")
        self._commitments.told(commitment, len(verdict.failed))
        log.info(
            "%s is told: %d committed, %d not", commitment.peer, len(verdict.committed), len(verdict.failed)
        )
        return True

    def _told(self, commitment: Commitment, verdict: Verdict) -> Answer:
        destinations = self._destinations()
        peer = destinations.named(commitment.peer)
        if peer is None:
            raise AssociationFailed(f"no address is known for {commitment.peer}")
        proposals = [(SOP_CLASS, syntax) for syntax in QUERY_TRANSFER_SYNTAXES]
        with destinations.connect(peer, proposals, self._timeout, as_scp=[SOP_CLASS]) as association:
            proposal = next((each for each in proposals if association.accepts(each)), None)
            if proposal is None:
                raise AssociationFailed("the peer does not accept storage commitment")
            written = write_identifier(information(commitment, verdict, self._aet), proposal[1])
            return association.event_report(proposal, WELL_KNOWN_INSTANCE, event_type(verdict), written)

    def _failed(self, commitment: Commitment, reason: str) -> bool:
        log.warning("%s cannot be told of its storage commitment: %s", commitment.peer, reason)
        if commitment.attempts + 1 >= self._max_attempts:
            self._commitments.give_up(commitment, reason)
        else:
            delay = min(_FIRST_DELAY * 2**commitment.attempts, _LONGEST_DELAY)
            self._commitments.later(commitment, now() + delay, reason)
        return False


def _peer_of(commitment: Commitment) -> str:
    return commitment.peer
