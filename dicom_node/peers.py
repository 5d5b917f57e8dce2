"""The application entities we know, and what each of them may do."""

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from dicom_node import subject
from dicom_node.subject import Subject

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Peer:
    """An application entity; what is None is not limited."""

    aet: str
    host: str = ""
    """Name or address where it listens; empty: nothing can be sent to it."""
    port: int = 104
    addresses: tuple[Network, ...] = ()
    """Where its associations come from; empty: from `host`, if that is asked for at all."""
    services: frozenset[str] | None = None
    """Names of `offer.service_of` that it may use."""
    sop_classes: frozenset[str] | None = None
    """Storage SOP classes that it may use."""
    transfer_syntaxes: tuple[str, ...] | None = None
    """Transfer syntaxes of stored objects that it may use, and that are proposed to it."""
    rejected: bool = False
    """It finds and retrieves what rejection notes take out of use, too."""
    max_associations: int | None = None
    tls: bool = False
    """Where it listens it speaks TLS."""
    certificate: str = ""
    """Subject of its certificate (RFC 4514), or a part of it."""

    @property
    def is_bound(self) -> bool:
        """Nobody else may have its AE title."""
        return bool(self.addresses or self.certificate)

    def is_caller(self, address: str, shown: Subject) -> bool:
        """It is who calls from this address with this certificate; `host` is another question."""
        return self._is_within(address) and (
            not self.certificate or subject.parsed(self.certificate) <= shown
        )

    def _is_within(self, address: str) -> bool:
        here = _address(address)
        return not self.addresses or any(here in network for network in self.addresses)

    def is_at_host(self, address: str) -> bool:
        """The address is one of `host`, which may need to be looked up; of no host, every address is."""
        if self.addresses or self.host in {"", address}:
            return True
        try:
            found = socket.getaddrinfo(self.host, None)
        except OSError:
            return False
        return any(_address(str(entry[4][0])) == _address(address) for entry in found)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    address = ipaddress.ip_address(text.partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address


def called(peers: Sequence[Peer], aet: str) -> list[Peer]:
    """Those with this AE title."""
    return [peer for peer in peers if peer.aet == aet]
