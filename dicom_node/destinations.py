"""Where instances can be moved to: peers that listen, over TLS where they want it."""

import ssl
from collections.abc import Collection, Sequence

from dicom_node import subject
from dicom_node.peers import Peer
from dicom_node.requestor import AssociationFailed, Proposal, Requestor
from dicom_node.scu import Remote
from dicom_node.subject import Subject
from dicom_node.tls import Credentials, client_context, server_context


class Destinations:
    """Peers by AE title, and how we come to them."""

    def __init__(self, peers: Sequence[Peer], aet: str, credentials: Credentials) -> None:
        """Take what is needed.

        Args:
            peers: those we know.
            aet: our AE title.
            credentials: for peers with TLS.
        """
        self._peers = {peer.aet: peer for peer in peers if peer.host}
        self._aet = aet
        self._credentials = credentials

    def named(self, aet: str) -> Peer | None:
        """The peer with this AE title, if something can be sent to it."""
        return self._peers.get(aet)

    def connect(
        self, peer: Peer, proposals: Sequence[Proposal], timeout: float, *, as_scp: Collection[str] = ()
    ) -> Requestor:
        """An association with a peer, arguments as of `Requestor`. Raises `AssociationFailed`."""
        return Requestor(
            (peer.host, peer.port),
            peer.aet,
            self._aet,
            proposals,
            as_scp=as_scp,
            tls=self._tls(peer),
            subject=self._subject(peer),
            timeout=timeout,
        )

    def remote(self, peer: Peer, timeout: float) -> Remote:
        """The peer as who is asked something. Raises `AssociationFailed`."""
        return Remote(
            peer.host,
            peer.port,
            peer.aet,
            self._aet,
            timeout,
            self._tls(peer),
            self._subject(peer),
            self._accepting(peer),
        )

    @staticmethod
    def _subject(peer: Peer) -> Subject | None:
        return subject.parsed(peer.certificate) if peer.tls and peer.certificate else None

    def _accepting(self, peer: Peer) -> ssl.SSLContext | None:
        """Who is called with TLS calls with TLS."""
        if not peer.tls or not self._credentials.certificate:
            return None
        try:
            return server_context(self._credentials, clients=ssl.CERT_REQUIRED)
        except OSError as error:
            raise AssociationFailed(f"no TLS with {peer.aet}: {error}") from error

    def _tls(self, peer: Peer) -> ssl.SSLContext | None:
        if not peer.tls:
            return None
        try:
            # A subject says who it is, whatever the host is called.
            return client_context(self._credentials, check_name=not peer.certificate)
        except OSError as error:
            raise AssociationFailed(f"no TLS to {peer.aet}: {error}") from error
