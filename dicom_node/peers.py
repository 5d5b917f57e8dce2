"""Who may open an association, and how the others are turned away."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass

_REJECTED_PERMANENT, _REJECTED_TRANSIENT = 1, 2
_SERVICE_USER, _SERVICE_PROVIDER_PRESENTATION = 1, 3
_CALLING_AE_TITLE_NOT_RECOGNIZED, _CALLED_AE_TITLE_NOT_RECOGNIZED = 3, 7
_LOCAL_LIMIT_EXCEEDED = 2


@dataclass(frozen=True, slots=True)
class Rejection:
    """Result, source and reason of an A-ASSOCIATE-RJ (PS3.8 9.3.4), and the reason in words for the log."""

    result: int
    source: int
    diagnostic: int
    reason: str


@dataclass(frozen=True, slots=True)
class Peer:
    """An application entity we know."""

    aet: str
    host: str
    """Name or address; empty is any, then nothing can be sent to it."""
    port: int = 104
    """Where it listens."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Which associations are accepted."""

    aet: str
    require_called_aet: bool
    peers: Sequence[Peer]
    """Those we know."""
    require_known_peers: bool
    max_associations: int

    def rejection(self, calling: str, called: str, address: str, active: int) -> Rejection | None:
        """Why this association is not accepted; None when it is.

        Args:
            calling: AE title of the peer.
            called: AE title the peer asks for.
            address: IP address of the peer.
            active: associations there are, this one included.
        """
        if self.require_called_aet and called.strip() != self.aet:
            reason = f"it calls {called.strip()!r}"
            return Rejection(_REJECTED_PERMANENT, _SERVICE_USER, _CALLED_AE_TITLE_NOT_RECOGNIZED, reason)
        if self.require_known_peers and not self._knows(calling.strip(), address):
            reason = "it is not among the known peers"
            return Rejection(_REJECTED_PERMANENT, _SERVICE_USER, _CALLING_AE_TITLE_NOT_RECOGNIZED, reason)
        if active > self.max_associations:
            reason = f"there are {self.max_associations} associations already"
            source = _SERVICE_PROVIDER_PRESENTATION
            return Rejection(_REJECTED_TRANSIENT, source, _LOCAL_LIMIT_EXCEEDED, reason)
        return None

    def _knows(self, calling: str, address: str) -> bool:
        return any(peer.aet == calling and _is_at(peer.host, address) for peer in self.peers)


def _is_at(host: str, address: str) -> bool:
    if host in {"", address}:
        return True
    try:
        found = socket.getaddrinfo(host, None)
    except OSError:
        return False
    return any(entry[4][0] == address for entry in found)
