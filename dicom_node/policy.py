"""Who may open an association, and how the others are turned away (PS3.8 9.3.4)."""

from collections.abc import Sequence
from dataclasses import dataclass

from dicom_node.identity import Claim, Identities, IdentityRefused, Known
from dicom_node.peers import Peer, called
from dicom_node.subject import Subject

_PERMANENT, _TRANSIENT = 1, 2
_SERVICE_USER, _PROVIDER_ACSE, _PROVIDER_PRESENTATION = 1, 2, 3
_NO_REASON = 1
_CALLING_AE_TITLE_NOT_RECOGNIZED, _CALLED_AE_TITLE_NOT_RECOGNIZED = 3, 7
_TEMPORARY_CONGESTION, _LOCAL_LIMIT_EXCEEDED = 1, 2


class Rejection(Exception):
    """Result, source and reason of an A-ASSOCIATE-RJ (PS3.8 9.3.4); the message is the reason for the log."""

    def __init__(self, result: int, source: int, diagnostic: int, reason: str) -> None:
        super().__init__(reason)
        self.result, self.source, self.diagnostic = result, source, diagnostic


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks for an association."""

    calling: str
    """AE title of the peer."""
    called: str
    """AE title the peer asks for."""
    address: str
    """IP address of the peer."""
    certificate: Subject = frozenset()
    """Subject of the certificate it has shown."""
    user: Claim | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """Which associations are accepted."""

    aet: str
    require_called_aet: bool
    peers: Sequence[Peer]
    """Those we know."""
    require_known_peers: bool
    max_associations: int
    identities: Identities

    def admitted(self, caller: Caller) -> tuple[Peer, Known | None]:
        """Who it is, as far as we know him, and his user. This may take time. Raises `Rejection`."""
        if self.require_called_aet and caller.called != self.aet:
            reason = f"it calls {caller.called!r}"
            raise Rejection(_PERMANENT, _SERVICE_USER, _CALLED_AE_TITLE_NOT_RECOGNIZED, reason)
        peer = self._peer(caller)
        try:
            return peer, self.identities.check(caller.user)
        except IdentityRefused as error:
            # PS3.7 D.3.3.7.3 names result and source.
            raise Rejection(_PERMANENT, _PROVIDER_ACSE, _NO_REASON, str(error)) from error

    def _peer(self, caller: Caller) -> Peer:
        named = called(self.peers, caller.calling)
        possible = [peer for peer in named if peer.is_caller(caller.address, caller.certificate)]
        for peer in possible:
            if not self.require_known_peers or peer.is_at_host(caller.address):
                return peer
        if self.require_known_peers or any(peer.is_bound for peer in named):
            known = (
                "its address or certificate is not that peer's"
                if named
                else "it is not among the known peers"
            )
            raise Rejection(_PERMANENT, _SERVICE_USER, _CALLING_AE_TITLE_NOT_RECOGNIZED, known)
        return Peer(caller.calling)

    def check_room(self, peer: Peer, active: int, of_peer: int) -> None:
        """Refuse more associations than there may be. Raises `Rejection`.

        Args:
            peer: by `admitted`.
            active: associations there are, without this one.
            of_peer: those of them that are the peer's.
        """
        if active >= self.max_associations:
            reason = f"there are {self.max_associations} associations already"
        elif peer.max_associations is not None and of_peer >= peer.max_associations:
            reason = f"it has {peer.max_associations} associations already"
        else:
            return
        raise Rejection(_TRANSIENT, _PROVIDER_PRESENTATION, _LOCAL_LIMIT_EXCEEDED, reason)


def congestion(reason: str) -> Rejection:
    """We cannot do what the association is for, for the moment."""
    return Rejection(_TRANSIENT, _PROVIDER_PRESENTATION, _TEMPORARY_CONGESTION, reason)
