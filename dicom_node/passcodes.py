"""Passcodes of users as they are kept: hashed by scrypt (RFC 7914), each with a salt of its own."""

import hashlib
import hmac
import os
import re
from base64 import b64decode, b64encode

_COST, _BLOCK, _PARALLEL = 1 << 14, 8, 1
_SALT = 16
_FORM = re.compile(r"scrypt\$(\d{4,7})\$(\d{1,2})\$(\d{1,2})\$([A-Za-z0-9+/=]{16,})\$([A-Za-z0-9+/=]{40,})")
_MOST_MEMORY = 1 << 28


def hashed(passcode: str) -> str:
    """One line to keep in place of the passcode: parameters, salt and hash."""
    salt = os.urandom(_SALT)
    key = _key(passcode, salt, _COST, _BLOCK, _PARALLEL)
    numbers = f"{_COST}${_BLOCK}${_PARALLEL}"
    return f"scrypt${numbers}${b64encode(salt).decode()}${b64encode(key).decode()}"


def is_hash(text: str) -> bool:
    """It is a line that `hashed` makes."""
    return _FORM.fullmatch(text) is not None


def matches(passcode: str, line: str) -> bool:
    """The passcode is the one of which `hashed` made the line; it takes some 50 ms to find out."""
    form = _FORM.fullmatch(line)
    if form is None:
        return False
    cost, block, parallel = (int(number) for number in form.groups()[:3])
    salt, key = (b64decode(part) for part in form.groups()[3:])
    return hmac.compare_digest(key, _key(passcode, salt, cost, block, parallel))


def _key(passcode: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    return hashlib.scrypt(
        passcode.encode(), salt=salt, n=cost, r=block, p=parallel, maxmem=_MOST_MEMORY, dklen=32
    )
