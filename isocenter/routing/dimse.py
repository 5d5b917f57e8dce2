"""Destinations that are peers."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from dicom_node.commitment_scu import commit
from dicom_node.deliver import Deliveries
from dicom_node.requestor import AssociationFailed
from dicom_node.scu import Remote
from isocenter.routing.carrier import DestinationDown
from storage.commitment import Reference
from storage.instances import StoredInstance


class DimseSender:
    """Stores instances at a peer, and asks it for storage commitment."""

    def __init__(
        self, deliveries: Deliveries, remote: Callable[[], Remote], listen: tuple[str, int] | None
    ) -> None:
        """Take what is needed.

        Args:
            deliveries: to the peer.
            remote: the peer as who is asked for storage commitment.
            listen: where it may answer on an association of its own; None: it answers on ours.
        """
        self._deliveries = deliveries
        self._remote = remote
        self._listen = listen

    def send(
        self,
        instances: Sequence[StoredInstance],
        paced: Callable[[Iterable[bytes]], Iterator[bytes]],
        go_on: Callable[[], bool],
    ) -> Iterator[tuple[StoredInstance, str]]:
        """Send instances over as few associations as they need; see `Sender`."""
        try:
            yield from self._deliveries.send(instances, paced, go_on)
        except AssociationFailed as error:
            raise DestinationDown(str(error)) from error

    def uncommitted(self, instances: Sequence[StoredInstance]) -> dict[str, str]:
        """What the peer does not commit to (PS3.4 J); see `Sender`."""
        references = [Reference(each.sop_class, each.key.sop) for each in instances]
        remote = self._remote()
        try:
            answer = commit(remote, references, listen=self._listen, wait=remote.timeout)
        except (AssociationFailed, OSError) as error:
            raise DestinationDown(str(error)) from error
        failed = {each.sop: f"failure reason 0x{reason:04X}" for each, reason in answer.failed}
        return failed | {each.sop: "the answer does not name it" for each in answer.unanswered}
