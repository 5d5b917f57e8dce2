"""User identity negotiation, with pynetdicom as the peer."""

import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pynetdicom import AE
from pynetdicom.pdu_primitives import UserIdentityNegotiation

from dicom_node.identity import Identities, Tokens
from dicom_node.passcodes import hashed, is_hash, matches

KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC = KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
TOKENS = Tokens(PUBLIC.decode(), ("ES256",), "https://login.example.org", "isocenter")
USERS = {"ada": hashed("secret"), "modality": None}
PASSCODE, KERBEROS, SAML, JWT = 2, 3, 4, 5


def token(key=KEY, algorithm="ES256", **claims):
    standard = {"sub": "ada", "iss": TOKENS.issuer, "aud": TOKENS.audience, "exp": time.time() + 600}
    kept = {name: value for name, value in (standard | claims).items() if value is not None}
    return jwt.encode(kept, key, algorithm).encode()


OF_ADA = token()


def associated(port, kind=None, primary=b"", secondary=b"", *, response=False):
    """Whether it was accepted, and the Server-response."""
    entity = AE("TEST")
    entity.add_requested_context("1.2.840.10008.1.1")
    items = []
    if kind:
        item = UserIdentityNegotiation()
        item.user_identity_type, item.positive_response_requested = kind, response
        item.primary_field, item.secondary_field = primary, secondary
        items.append(item)
    assoc = entity.associate("127.0.0.1", port, ae_title="ISOCENTER", ext_neg=items)
    if not assoc.is_established:
        rejected = assoc.acceptor.primitive
        assert (rejected.result, rejected.result_source, rejected.diagnostic) == (1, 2, 1)
        return False, None
    assert assoc.send_c_echo().Status == 0
    answer = assoc.acceptor.user_identity
    assoc.release()
    return True, answer and answer.server_response


@pytest.mark.parametrize(
    ("claim", "accepted"),
    [
        ((PASSCODE, b"ada", b"secret"), True),
        ((PASSCODE, b"ada", b"wrong"), False),
        ((PASSCODE, b"eve", b"secret"), False),
        ((PASSCODE, b"modality", b"secret"), False),
        ((PASSCODE, b"\xff", b"\xff"), False),
        ((1, b"modality"), True),
        ((1, b"ada"), False),
        ((1, b"eve"), False),
        ((JWT, token()), True),
        ((JWT, token(exp=time.time() - 600)), False),
        ((JWT, token(iss="https://other.example.org")), False),
        ((JWT, token(aud="other")), False),
        ((JWT, token(exp=None)), False),
        ((JWT, token(ec.generate_private_key(ec.SECP256R1()))), False),
        ((JWT, b"no token"), False),
        ((KERBEROS, b"ticket"), False),
        ((SAML, b"<Assertion/>"), False),
        ((), False),
    ],
)
def test_users_who_are_required(start, claim, accepted, caplog):
    _, port = start(identities=Identities(USERS, TOKENS, required=True))
    assert associated(port, *claim) == (accepted, None)
    assert accepted or "refused: " in caplog.text


@pytest.mark.parametrize(
    ("claim", "answer"),
    [((PASSCODE, b"ada", b"secret"), b""), ((1, b"modality"), b""), ((JWT, OF_ADA), OF_ADA)],
)
def test_positive_response_is_given_when_asked_for(start, claim, answer):
    _, port = start(identities=Identities(USERS, TOKENS))
    assert associated(port, *claim, response=True) == (True, answer)


def test_nobody_needs_a_user_unless_it_is_required(start):
    _, port = start(identities=Identities(USERS))
    assert associated(port) == (True, None)
    assert associated(port, PASSCODE, b"ada", b"wrong") == (False, None)
    assert associated(port, JWT, token()) == (False, None)


def test_without_users_identity_is_let_be(port):
    assert associated(port, PASSCODE, b"ada", b"secret", response=True) == (True, None)


def test_passcodes_are_kept_hashed_each_with_a_salt():
    one, two = hashed("secret"), hashed("secret")
    assert one != two
    assert is_hash(one)
    assert "secret" not in one
    assert matches("secret", one)
    assert not matches("Secret", two)
    assert not matches("secret", "secret")
