"""The node: listens, decides who may associate, stores what they send, and answers what they ask."""

import logging
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.events import Event

from dicom_node.channel import Channel, PeerGone
from dicom_node.contexts import supported_contexts
from dicom_node.destinations import Destinations
from dicom_node.identity import Identities
from dicom_node.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicom_node.negotiation import agreed, answer_identity, caller_of, narrow, offer_window, proposed
from dicom_node.normalized import NormalizedService, NormalizedServices
from dicom_node.offer import only_stores
from dicom_node.peers import Peer
from dicom_node.policy import Caller, Policy, Rejection, congestion
from dicom_node.query import Queries
from dicom_node.receiver import Receiver
from dicom_node.retrieve import Retrieval
from dicom_node.server import Connection, NodeServer, SerialTls, SharedContexts
from dicom_node.tls import Credentials
from dicom_node.worklist import Worklist
from storage.archive import Archive
from storage.instances import Origin
from storage.spool import Spool

log = logging.getLogger(__name__)

_POLL = 0.05
_SILENT = 1.0
"""Seconds after which an association that we wait for has nothing more to say."""
_LAST_WORDS = 5.0
"""Seconds in which aborted associations end, unless an instance is being stored."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait."""

    artim: float = 30
    """For a request of an association, and for the end of a connection (PS3.8 9.1.5)."""
    idle: float = 60
    """For anything within an association."""
    dimse: float = 60
    """For the answer to a sub-operation."""


@dataclass(frozen=True, slots=True)
class _Active:
    """An association that was accepted."""

    peer: Peer
    receiver: Receiver
    channel: Channel


class Node:
    """A DICOM application entity that verifies, stores and is queried as an SCP (PS3.4 A, B, C)."""

    def __init__(
        self,
        archive: Archive,
        spool: Spool,
        *,
        aet: str,
        host: str,
        port: int,
        shared: socket.socket | None = None,
        peers: Sequence[Peer] = (),
        require_known_peers: bool = False,
        require_called_aet: bool = True,
        max_associations: int = 64,
        private_sop_classes: Iterable[str] = (),
        patient_study_only: bool = False,
        services: Sequence[NormalizedService] = (),
        worklists: Sequence[Worklist] = (),
        tls: ssl.SSLContext | None = None,
        outgoing_tls: Credentials | None = None,
        identities: Identities | None = None,
        max_pdu: int = 1 << 20,
        timeouts: Timeouts | None = None,
    ) -> None:
        """Open nothing yet.

        Args:
            archive: where instances go.
            spool: where they wait until they are whole.
            aet: our AE title.
            host: address to listen on.
            port: 0 picks a free one.
            shared: a socket that listens for several processes, in place of one at `host` and `port`.
            peers: those we know; to them instances are moved.
            require_known_peers: refuse all others.
            require_called_aet: refuse those who call another AE title than `aet`.
            max_associations: more at once are refused for the moment.
            private_sop_classes: UIDs of SOP classes beyond the standard's that are stored.
            patient_study_only: offer the retired Patient/Study Only information model.
            services: further ones, by DIMSE-N.
            worklists: further ones to search, by C-FIND.
            tls: listen with TLS.
            outgoing_tls: what peers with TLS are shown and believed by, when instances are moved to them.
            identities: the users we know.
            max_pdu: bytes of the longest PDU a peer may send.
            timeouts: how long a peer may be silent; a minute unless given.
        """
        self._archive = archive
        self._spool = spool
        self._address = (host, port)
        self._shared = shared
        self._tls = tls
        if tls:
            tls.sslsocket_class = SerialTls
        self._outgoing_tls = outgoing_tls or Credentials()
        self._policy = Policy(
            aet,
            require_called_aet,
            tuple(peers),
            require_known_peers,
            max_associations,
            identities or Identities(),
        )
        self._services, self._worklists = tuple(services), tuple(worklists)
        further = [uid for each in services for uid in each.sop_classes]
        self._contexts = SharedContexts(
            supported_contexts(
                private_sop_classes,
                patient_study_only=patient_study_only,
                further=[*further, *(each.sop_class for each in worklists)],
            )
        )
        self._timeouts = timeouts or Timeouts()
        self._entity = _entity(aet, max_pdu, self._timeouts)
        self._server: NodeServer | None = None
        self._lock = threading.Lock()
        self._active: dict[Any, _Active] = {}

    def start(self) -> int:
        """Listen; the port it listens on. Raises `OSError` when it cannot."""
        self._server = self._entity.make_server(
            self._address,
            contexts=self._contexts,
            ssl_context=self._tls,
            evt_handlers=[(evt.EVT_REQUESTED, self._decide), (evt.EVT_SOP_EXTENDED, agreed)],
            server_class=NodeServer,
            connections=2 * self._policy.max_associations,
            shared=self._shared,
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
            for assoc, each in active.items():
                if each.receiver.silent_for >= silent and not (silent and each.channel.busy):
                    assoc.abort(block=False)
            time.sleep(_POLL)

    def _snapshot(self) -> dict[Any, "_Active"]:
        with self._lock:
            return dict(self._active)

    def destinations(self) -> Destinations:
        """The peers that something can be sent to now."""
        return Destinations(self._policy.peers, self._policy.aet, self._outgoing_tls)

    def replace_peers(
        self, peers: Sequence[Peer], identities: Identities, *, require_known_peers: bool
    ) -> None:
        """Know others from now on; associations that are open are not touched."""
        self._policy = replace(
            self._policy,
            peers=tuple(peers),
            identities=identities,
            require_known_peers=require_known_peers,
        )

    def _decide(self, event: Event) -> None:
        assoc, caller = event.assoc, caller_of(event.assoc)
        try:
            self._admit(assoc, caller)
        except Rejection as rejection:
            self._reject(assoc, caller, rejection)
        except Exception:
            # What is raised here would pass for consent.
            log.exception("request of %r at %s", caller.calling, caller.address)
            self._reject(assoc, caller, congestion("internal error"))

    def _admit(self, assoc: Any, caller: Caller) -> None:
        policy = self._policy
        peer, user = policy.admitted(caller)
        if only_stores(proposed(assoc)) and (full := self._spool.shortage()):
            raise congestion(full)
        narrow(assoc, self._contexts, peer)
        offer_window(assoc)
        if user:
            log.info("association of %r at %s is of user %r", caller.calling, caller.address, user.name)
            answer_identity(assoc, user)
        with self._lock:
            same = sum(each.peer.aet == peer.aet for each in self._active.values())
            policy.check_room(peer, len(self._active), same)
            self._active[assoc] = self._accepted(assoc, caller, peer)

    @staticmethod
    def _reject(assoc: Any, caller: Caller, rejection: Rejection) -> None:
        log.warning("association of %r at %s refused: %s", caller.calling, caller.address, rejection)
        assoc.acse.send_reject(rejection.result, rejection.source, rejection.diagnostic)
        assoc.kill()

    def _accepted(self, assoc: Any, caller: Caller, peer: Peer) -> "_Active":
        origin = Origin("dimse", caller.calling, caller.address)
        receiver = Receiver(self._archive, self._spool, origin, caller.called)
        assoc.dul.messages.receiver = receiver
        return _Active(peer, receiver, self._serving(assoc, peer))

    def _serving(self, assoc: Any, peer: Peer) -> Channel:
        """Let requests of this association be answered here, and C-ECHO by pynetdicom."""
        channel = Channel(assoc, self._timeouts.dimse)
        archive, shown = self._archive, peer.rejected
        retrieval = Retrieval(archive, self._spool, channel, self.destinations(), rejected=shown)
        queries = Queries(archive, self._policy.aet, channel, retrieval, self._worklists, rejected=shown)
        servers = (queries, NormalizedServices(self._services, channel))
        otherwise = assoc._serve_request  # noqa: SLF001

        def serve(primitive: Any, context_id: int) -> None:
            for server in servers:
                if server.takes(primitive):
                    with _serving(channel):
                        server.serve(primitive, context_id, assoc._accepted_cx[context_id])  # noqa: SLF001
                    return
            otherwise(primitive, context_id)

        assoc._serve_request = serve  # noqa: SLF001
        return channel

    def _ended(self, assoc: Any, how: str) -> None:
        active = self._snapshot().get(assoc)
        if active is None:
            if assoc.requestor.primitive is None:
                address = assoc.requestor.address_info.address
                log.info("connection from %s ended before it asked for an association: %s", address, how)
            return
        try:
            active.receiver.close(how)
        finally:
            # Only now, because `stop` waits for the end of the delivery.
            with self._lock:
                del self._active[assoc]


@contextmanager
def _serving(channel: Channel) -> Iterator[None]:
    """One request is served; what the peer or we do wrong meanwhile ends its association alone."""
    channel.busy = True
    try:
        yield
    except PeerGone as error:
        log.warning("%s: left without its answer: %s", channel.peer, error)
        channel.abort()
    except Exception:
        log.exception("request of %s", channel.peer)
        channel.abort()
    finally:
        channel.busy = False


def _entity(aet: str, max_pdu: int, timeouts: Timeouts) -> AE:
    entity = AE(aet)
    entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    entity.maximum_pdu_size = max_pdu
    entity.network_timeout, entity.acse_timeout = timeouts.idle, timeouts.artim
    entity.dimse_timeout = timeouts.dimse
    # `Policy` decides on all of this at once.
    entity.require_called_aet = False
    entity.maximum_associations = sys.maxsize
    return entity
