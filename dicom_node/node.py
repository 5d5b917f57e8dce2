"""The node: listens, decides who may associate, and stores what they send."""

import logging
import ssl
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.events import Event

from dicom_node.contexts import supported_contexts
from dicom_node.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicom_node.peers import Policy
from dicom_node.receiver import Receiver
from dicom_node.server import Connection, NodeServer, SharedContexts
from storage.archive import Archive
from storage.instances import Origin
from storage.spool import Spool

log = logging.getLogger(__name__)

MAX_PDU = 1 << 20
_POLL = 0.05
_SILENT = 1.0
"""Seconds after which an association that we wait for has nothing more to say."""
_LAST_WORDS = 5.0
"""Seconds in which aborted associations end, unless an instance is being stored."""


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
        self._contexts = SharedContexts(supported_contexts(private_sop_classes))
        self._entity = _entity(aet, timeout)
        self._server: NodeServer | None = None
        self._lock = threading.Lock()
        self._active: dict[Any, Receiver] = {}

    def start(self) -> int:
        """Listen; the port it listens on. Raises `OSError` when it cannot."""
        self._server = self._entity.make_server(
            self._address,
            contexts=self._contexts,
            ssl_context=self._tls,
            evt_handlers=[(evt.EVT_REQUESTED, self._decide)],
            server_class=NodeServer,
            connections=2 * self._policy.max_associations,
            request_handler=partial(Connection, on_end=self._ended),
        )
        threading.Thread(
            target=self._server.serve_forever, args=(_POLL,), name="dicom-node", daemon=True
        ).start()
        return int(self._server.server_address[1])

    def stop(self, grace: float = 10) -> None:
        """Take no more associations, let those there are end for `grace` seconds, and abort the rest.

        Silent associations are aborted at once. What was acknowledged is stored in any case; what is being
        stored when the grace ends is finished.
        """
        if self._server is None:
            return
        self._server.shutdown()
        self._server = None
        self._wait_for_end(grace, silent=_SILENT)
        self._wait_for_end(_LAST_WORDS, silent=0)

    def _wait_for_end(self, seconds: float, silent: float) -> None:
        deadline = time.monotonic() + seconds
        while (active := self._snapshot()) and time.monotonic() < deadline:
            for assoc, receiver in active.items():
                if receiver.silent_for >= silent:
                    assoc.abort(block=False)
            time.sleep(_POLL)

    def _snapshot(self) -> dict[Any, Receiver]:
        with self._lock:
            return dict(self._active)

    def _decide(self, event: Event) -> None:
        assoc = event.assoc
        request, address = assoc.requestor.primitive, assoc.requestor.address_info.address
        calling, called = request.calling_ae_title.strip(), request.called_ae_title.strip()
        with self._lock:
            rejection = self._policy.rejection(calling, called, address, len(self._active) + 1)
            if rejection is None:
                receiver = Receiver(self._archive, self._spool, Origin("dimse", calling, address), called)
                self._active[assoc] = assoc.dul.messages.receiver = receiver
                return
        log.warning("association of %r at %s refused: %s", calling, address, rejection.reason)
        assoc.acse.send_reject(rejection.result, rejection.source, rejection.diagnostic)
        assoc.kill()

    def _ended(self, assoc: Any, how: str) -> None:
        with self._lock:
            receiver = self._active.pop(assoc, None)
        if receiver:
            receiver.close(how)


def _entity(aet: str, timeout: float) -> AE:
    entity = AE(aet)
    entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    entity.maximum_pdu_size = MAX_PDU
    entity.network_timeout = entity.acse_timeout = entity.dimse_timeout = timeout
    # `Policy` decides on all of this at once.
    entity.require_called_aet = False
    entity.maximum_associations = sys.maxsize
    return entity
