"""TLS of the DIMSE edge: the BCP 195 RFC 8996, 9325 profile of PS3.15 B.12, at both ends."""

import ssl
from dataclasses import dataclass
from pathlib import Path

# RFC 9325 4.2.1: forward secrecy and authenticated encryption; TLS 1.3 has no other suites.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What we show of ourselves, and whom we believe; all files are PEM."""

    certificate: Path | None = None
    """Ours, and those that lead to its authority; None shows nothing."""
    key: Path | None = None
    """Private key of the certificate; None: it is in the same file."""
    authorities: Path | None = None
    """Certificates of the authorities we believe; None: those of the system."""


def server_context(credentials: Credentials, *, clients: ssl.VerifyMode) -> ssl.SSLContext:
    """To listen with.

    Args:
        credentials: with a certificate.
        clients: whether peers must show a certificate, or may.

    Raises:
        OSError: a file cannot be read, or is not what it should be (`ssl.SSLError`).
    """
    context = _restricted(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    context.verify_mode = clients
    _load(context, credentials)
    return context


def client_context(credentials: Credentials, *, check_name: bool = True) -> ssl.SSLContext:
    """To open associations with.

    Args:
        credentials: the certificate is for peers that want to see one.
        check_name: the peer's certificate must be of the host we connect to.

    Raises:
        OSError: a file cannot be read, or is not what it should be (`ssl.SSLError`).
    """
    context = _restricted(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    context.check_hostname = check_name
    _load(context, credentials)
    return context


def _restricted(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    return context


def _load(context: ssl.SSLContext, credentials: Credentials) -> None:
    if credentials.certificate:
        context.load_cert_chain(credentials.certificate, credentials.key)
    if credentials.authorities:
        context.load_verify_locations(credentials.authorities)
    elif context.verify_mode != ssl.CERT_NONE:
        context.load_default_certs()
