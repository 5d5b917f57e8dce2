"""User identity negotiation (PS3.7 D.3.3.7): the user that a peer names, and whether he is believed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import jwt

from dicom_node.passcodes import matches

_USERNAME, _PASSCODE, _KERBEROS, _SAML, _JWT = 1, 2, 3, 4, 5
_NOBODY = f"scrypt$16384$8$1${'A' * 22}==${'A' * 43}="
"""The hash of no passcode."""
_FOREIGN = {_KERBEROS: "a Kerberos ticket", _SAML: "a SAML assertion"}


class IdentityRefused(Exception):
    """The user is not believed; the message says why, for the log."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a peer says of its user."""

    kind: int
    """User-Identity-Type (PS3.7 Table D.3-14)."""
    primary: bytes
    secondary: bytes = b""
    response_wanted: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """A user who is believed."""

    name: str
    response: bytes | None
    """Server-response of a positive answer (PS3.7 Table D.3-15); None: none was wanted."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Which JSON Web Tokens (RFC 7519) are believed."""

    key: str
    """Public key, PEM, or a shared secret."""
    algorithms: Sequence[str]
    issuer: str
    audience: str


@dataclass(frozen=True, slots=True)
class Identities:
    """The users we know."""

    users: Mapping[str, str | None] = field(default_factory=dict)
    """Names, and their passcodes as `passcodes.hashed` makes them; None: the name alone is believed."""
    tokens: Tokens | None = None
    required: bool = False

    def check(self, claim: Claim | None) -> Known | None:
        """The user of an association; None when there is none, and none is needed.

        Raises:
            IdentityRefused: the association must be rejected.
        """
        if not self.users and self.tokens is None:
            return None  # PS3.7 D.3.3.7: who does not support it accepts without a response
        if claim is None:
            if self.required:
                raise IdentityRefused("it names no user")
            return None
        name = self._name(claim)
        return Known(name, self._response(claim) if claim.response_wanted else None)

    def _name(self, claim: Claim) -> str:
        if claim.kind in _FOREIGN:
            raise IdentityRefused(f"{_FOREIGN[claim.kind]} as user identity is not supported")
        if claim.kind == _JWT:
            return self._of_token(claim.primary)
        name = _text(claim.primary)
        if claim.kind == _PASSCODE:
            self._check_passcode(name, _text(claim.secondary))
        elif claim.kind != _USERNAME or self.users.get(name, "") is not None:
            raise IdentityRefused(f"user {name[:64]!r} is not known without a passcode")
        return name

    def _check_passcode(self, name: str, passcode: str) -> None:
        line = self.users.get(name)
        # Who is not known takes as long to refuse as a wrong passcode.
        if not matches(passcode, line or _NOBODY) or line is None:
            raise IdentityRefused(f"user {name[:64]!r} is not known, or the passcode is wrong")

    def _of_token(self, token: bytes) -> str:
        if self.tokens is None:
            raise IdentityRefused("a JSON Web Token as user identity is not configured")
        try:
            claims = jwt.decode(
                token,
                self.tokens.key,
                algorithms=list(self.tokens.algorithms),
                issuer=self.tokens.issuer,
                audience=self.tokens.audience,
                options={"require": ["exp", "sub", "iss", "aud"]},
            )
        except jwt.PyJWTError as error:
            raise IdentityRefused(f"its JSON Web Token is not believed: {error}") from error
        return str(claims["sub"])

    @staticmethod
    def _response(claim: Claim) -> bytes:
        return claim.primary if claim.kind == _JWT else b""


def _text(value: bytes) -> str:
    try:
        return value.decode()  # PS3.7 D.3.3.7.1: UTF-8
    except UnicodeDecodeError:
        raise IdentityRefused("its user name or passcode is not UTF-8") from None
