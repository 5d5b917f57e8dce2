"""Who a certificate is of: its subject (RFC 5280 4.1.2.6), compared by the attributes that are asked for."""

import ssl

from cryptography import x509

Subject = frozenset[tuple[str, str]]
"""Attributes as pairs of object identifier and value."""


def parsed(text: str) -> Subject:
    """A subject as RFC 4514 writes it, e.g. `CN=ct01,O=Example Hospital`.

    Raises:
        ValueError: it is none.
    """
    try:
        name = x509.Name.from_rfc4514_string(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no subject of a certificate, such as CN=ct01,O=Hospital") from error
    return _attributes(name)


def of(connection: object) -> Subject:
    """The subject of the peer's certificate; empty without TLS, and when the peer has shown none."""
    if not isinstance(connection, ssl.SSLSocket):
        return frozenset()
    encoded = connection.getpeercert(binary_form=True)
    return _attributes(x509.load_der_x509_certificate(encoded).subject) if encoded else frozenset()


def _attributes(name: x509.Name) -> Subject:
    return frozenset((each.oid.dotted_string, str(each.value)) for each in name)
