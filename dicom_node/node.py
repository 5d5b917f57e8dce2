"""The node: listens, decides who may associate, and stores what they send."""

import logging
import ssl
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.events import Event

from dicom_node.contexts import supported_contexts
from dicom_node.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicom_node.peers import Policy
from dicom_node.receiver import Receiver, StoreRequest
from storage.archive import Archive
from storage.instances import Origin
from storage.spool import Spool

if TYPE_CHECKING:
    from pynetdicom.association import Association
    from pynetdicom.transport import ThreadedAssociationServer

log = logging.getLogger(__name__)

MAX_PDU = 1 << 20
_STOP_POLL = 0.05


class Node:
    """A DICOM application entity that verifies (PS3.4 A) and stores (PS3.4 B) as an SCP."""

    def __init__(
        self,
        archive: Archive,
        spool: Spool,
        *,
        aet: str,
        host: str,
        port: int,
        peers: Sequence[tuple[str, str]] = (),
        require_known_peers: bool = False,
        require_called_aet: bool = True,
        max_associations: int = 64,
        private_sop_classes: Iterable[str] = (),
        tls: ssl.SSLContext | None = None,
        timeout: float = 60,
    ) -> None:
        """Open nothing yet.

        Args:
            archive: where instances go.
            spool: where they wait until they are whole.
            aet: our AE title.
            host: address to listen on.
            port: 0 picks a free one.
            peers: AE title and host name or address of those we know; an empty host is any.
            require_known_peers: refuse all others.
            require_called_aet: refuse those who call another AE title than `aet`.
            max_associations: more at once are refused for the moment.
            private_sop_classes: UIDs of SOP classes beyond the standard's that are stored.
            tls: listen with TLS.
            timeout: seconds a peer may be silent.
        """
        self._archive = archive
        self._spool = spool
        self._address = (host, port)
        self._tls = tls
        self._policy = Policy(aet, require_called_aet, tuple(peers), require_known_peers, max_associations)
        self._contexts = supported_contexts(private_sop_classes)
        self._entity = _entity(aet, timeout)
        self._receivers: dict[Association, Receiver] = {}
        self._server: ThreadedAssociationServer | None = None

    def start(self) -> int:
        """Listen; the port it listens on. Raises `OSError` when it cannot."""
        handlers = [
            (evt.EVT_REQUESTED, self._decide),
            (evt.EVT_ESTABLISHED, self._established),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_CONN_CLOSE, self._closed),
        ]
        self._server = self._entity.start_server(
            self._address,
            block=False,
            ssl_context=self._tls,
            contexts=self._contexts,
            evt_handlers=handlers,
        )
        return int(self._server.server_address[1])

    def stop(self, grace: float = 10) -> None:
        """Take no more associations, let those there are end for `grace` seconds, and abort the rest.

        What was acknowledged is stored in any case; an instance that is being received is finished when the
        peer delivers it in time, and idle associations are aborted at once.
        """
        if self._server is None:
            return
        self._server.shutdown()
        deadline = time.monotonic() + grace
        while self._receivers and time.monotonic() < deadline:
            for assoc, receiver in list(self._receivers.items()):
                if not receiver.busy:
                    assoc.abort()
            time.sleep(_STOP_POLL)
        for assoc in list(self._receivers):
            assoc.abort()
        self._server = None

    def _decide(self, event: Event) -> None:
        assoc = event.assoc
        request = assoc.requestor.primitive
        address = assoc.requestor.address_info.address
        active = len(self._receivers) + 1
        rejection = self._policy.rejection(request.calling_ae_title, request.called_ae_title, address, active)
        if rejection:
            log.warning(
                "association refused: %r at %s: %s", request.calling_ae_title, address, rejection.reason
            )
            assoc.acse.send_reject(rejection.result, rejection.source, rejection.diagnostic)
            assoc.kill()

    def _established(self, event: Event) -> None:
        request = event.assoc.requestor.primitive
        origin = Origin("dimse", request.calling_ae_title.strip(), event.assoc.requestor.address_info.address)
        self._receivers[event.assoc] = Receiver(
            self._archive, self._spool, origin, request.called_ae_title.strip()
        )

    def _store(self, event: Event) -> Dataset:
        receiver = self._receivers[event.assoc]
        request = event.request
        receiver.begin(
            StoreRequest(
                request.MessageID,
                str(request.AffectedSOPClassUID),
                str(request.AffectedSOPInstanceUID),
                str(event.context.transfer_syntax),
            )
        )
        receiver.write([request.DataSet.getbuffer()])
        answer = receiver.end()
        status = Dataset()
        status.Status = answer.status
        if answer.reason:
            status.ErrorComment = answer.comment
        return status

    def _closed(self, event: Event) -> None:
        receiver = self._receivers.pop(event.assoc, None)
        if receiver:
            receiver.close("released" if event.assoc.is_released else "ended")


def _entity(aet: str, timeout: float) -> AE:
    entity = AE(aet)
    entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    entity.maximum_pdu_size = MAX_PDU
    entity.network_timeout = entity.acse_timeout = entity.dimse_timeout = timeout
    # All of `Policy` is decided at once in `_decide`.
    entity.require_called_aet = False
    entity.maximum_associations = 1 << 20
    return entity
