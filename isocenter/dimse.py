"""The DICOM node as the settings describe it, and what of it follows them while it runs."""

import logging
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

from dicom_node.identity import Identities, Tokens
from dicom_node.node import Node, Timeouts
from dicom_node.peers import Peer
from dicom_node.tls import Credentials, server_context
from isocenter.node_services import normalized_services, worklists
from isocenter.node_settings import NodeIdentity, NodeSettings, NodeTls
from isocenter.part import on_hangup
from isocenter.services import Services
from isocenter.settings import Settings, SettingsError

log = logging.getLogger(__name__)

_CLIENTS = {"required": ssl.CERT_REQUIRED, "optional": ssl.CERT_OPTIONAL, "none": ssl.CERT_NONE}
_LOOK_SECONDS = 2.0


def node_for(services: Services, shared: socket.socket | None = None) -> Node:
    """The node of the settings.

    Args:
        services: that it uses.
        shared: a socket that listens for several processes, which share its limit of associations.

    Raises:
        SettingsError: a file of [node.tls] is not what it should be.
    """
    settings, node = services.settings, services.settings.node
    return Node(
        services.archive,
        services.spool,
        aet=node.aet,
        host=node.host or settings.host,
        port=node.port,
        shared=shared,
        peers=peers_of(node),
        require_known_peers=node.require_known_peers,
        require_called_aet=node.require_called_aet,
        max_associations=-(-node.max_associations // node.processes),
        private_sop_classes=node.private_sop_classes,
        services=normalized_services(services),
        worklists=worklists(services),
        patient_study_only=node.patient_study_only,
        tls=_listening_tls(node, node.tls) if node.tls else None,
        outgoing_tls=credentials_of(node),
        identities=identities_of(node.identity),
        max_pdu=node.max_pdu,
        timeouts=Timeouts(node.artim_seconds, node.idle_seconds, node.dimse_seconds),
    )


def peers_of(node: NodeSettings) -> tuple[Peer, ...]:
    """The peers of the settings."""
    return tuple(
        Peer(
            peer.aet,
            peer.host,
            peer.port,
            addresses=peer.addresses,
            services=None if peer.services is None else frozenset(peer.services),
            sop_classes=None if peer.sop_classes is None else frozenset(peer.sop_classes),
            transfer_syntaxes=peer.transfer_syntaxes,
            rejected=peer.rejected,
            max_associations=peer.max_associations,
            tls=peer.tls,
            certificate=peer.certificate,
        )
        for peer in node.peers
    )


def identities_of(identity: NodeIdentity) -> Identities:
    """The users of the settings."""
    users = {
        user.name: user.passcode.get_secret_value() if user.passcode else None for user in identity.users
    }
    jwt = identity.jwt
    tokens = Tokens(jwt.key.get_secret_value(), jwt.algorithms, jwt.issuer, jwt.audience) if jwt else None
    return Identities(users, tokens, identity.required)


def credentials_of(node: NodeSettings) -> Credentials:
    """What peers with TLS are shown and believed by."""
    tls = node.tls
    return Credentials(tls.certificate, tls.key, tls.ca) if tls else Credentials()


def _listening_tls(node: NodeSettings, tls: NodeTls) -> ssl.SSLContext:
    try:
        return server_context(credentials_of(node), clients=_CLIENTS[tls.client_certificates])
    except OSError as error:
        raise SettingsError(f"node.tls: certificate, key or ca cannot be used: {error}") from error


class Reloading:
    """Gives the node the peers and users of changed settings, while associations go on.

    It looks when the settings file has changed, and on SIGHUP. What is wrong changes nothing.
    """

    def __init__(
        self,
        node: Node,
        source: Callable[[], Settings],
        file: Path | None,
        on_asked: Callable[[], None] = lambda: None,
    ) -> None:
        """Start from how things are.

        Args:
            node: which runs.
            source: reads the settings.
            file: that they are in, if any.
            on_asked: called on SIGHUP, to pass it on.
        """
        self._node = node
        self._source = source
        self._file = file
        self._seen = self._stamp()
        self._asked = threading.Event()
        self._on_asked = on_asked

    def until(self, stopped: threading.Event) -> None:
        """Keep up with the settings until `stopped`; from the main thread, which signals reach."""
        with on_hangup(self._ask):
            while not stopped.wait(_LOOK_SECONDS):
                self.look()

    def _ask(self) -> None:
        self._asked.set()
        self._on_asked()

    def look(self) -> None:
        """Read the settings again, if there is a reason to."""
        stamp = self._stamp()
        if stamp != self._seen or self._asked.is_set():
            self._seen = stamp
            self._asked.clear()
            self._reload()

    def _stamp(self) -> tuple[int, int] | None:
        try:
            status = self._file.stat() if self._file else None
        except OSError:
            return None  # being replaced by an editor
        return (status.st_mtime_ns, status.st_size) if status else None

    def _reload(self) -> None:
        try:
            node = self._source().node
        except SettingsError as error:
            log.error("settings are not read again, the old peers stay: %s", error)  # noqa: TRY400 - a user's mistake
            return
        self._node.replace_peers(
            peers_of(node), identities_of(node.identity), require_known_peers=node.require_known_peers
        )
        log.info("peers and users read again: %s", ", ".join(peer.aet for peer in node.peers) or "none")
