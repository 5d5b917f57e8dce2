"""Sending stored instances to a peer (C-STORE SCU): as they are stored, or in a form that it takes."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence

from dicom_node.destinations import Destinations
from dicom_node.peers import Peer
from dicom_node.requestor import AssociationFailed, Requestor
from dicom_node.status import SUCCESS
from dicom_node.suboperations import Unsendable, associations, data_set, form, reason
from storage.archive import Archive
from storage.errors import StorageError
from storage.instances import StoredInstance
from storage.spool import Spool

log = logging.getLogger(__name__)

Paced = Callable[[Iterable[bytes]], Iterator[bytes]]
"""Passes chunks on, no faster than they may go."""


class Deliveries:
    """Sends instances of an archive to one peer."""

    def __init__(
        self,
        archive: Archive,
        spool: Spool,
        destinations: Destinations,
        peer: Peer,
        *,
        transfer_syntaxes: Sequence[str] | None = None,
        timeout: float = 60,
    ) -> None:
        """Open nothing.

        Args:
            archive: that has the instances.
            spool: where converted ones wait until they are whole.
            destinations: that the peer is one of.
            peer: who gets them.
            transfer_syntaxes: that it is sent; None for those of the peer.
            timeout: seconds to wait for each piece of an answer.
        """
        self._archive = archive
        self._spool = spool
        self._destinations = destinations
        self._peer = peer
        self._allowed = peer.transfer_syntaxes if transfer_syntaxes is None else transfer_syntaxes
        self._timeout = timeout

    def send(
        self, instances: Sequence[StoredInstance], paced: Paced, go_on: Callable[[], bool]
    ) -> Iterator[tuple[StoredInstance, str]]:
        """Send instances; each comes back with why it was not stored, or an empty text.

        Args:
            instances: what is sent.
            paced: what their bytes pass through.
            go_on: asked before each; False ends the association in good order.

        Raises:
            AssociationFailed: there is no association, or it broke; what has not come back was not sent.
        """
        for proposals, some in associations(instances, self._allowed):
            with self._destinations.connect(self._peer, proposals, self._timeout) as association:
                for instance in some:
                    if not go_on():
                        return
                    try:
                        said = self._store(association, instance, paced)
                    except AssociationFailed as error:
                        yield instance, str(error)
                        raise
                    yield instance, said

    def _store(self, association: Requestor, instance: StoredInstance, paced: Paced) -> str:
        try:
            proposal = form(instance, association.accepts)
            with data_set(self._archive, self._spool, instance, proposal[1]) as chunks:
                answer = association.store(proposal, instance.key.sop, _unbroken(paced(chunks)))
        except (StorageError, Unsendable) as error:
            return reason(error)
        said = f"0x{answer.status:04X} {answer.reason}".strip()
        if answer.status != SUCCESS:
            log.warning("%s: %s sent with %s", self._peer.aet, instance.key.sop, said)
        return "" if answer.stored else said


def _unbroken(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """What breaks off in mid-instance ends the association: the peer waits for the rest."""
    try:
        yield from chunks
    except StorageError as error:
        raise AssociationFailed(f"the instance breaks off: {error}") from error
