"""UIDs that are the same in every run: made from what a thing is, not from the clock."""

import hashlib


def uid_from(*parts: str) -> str:
    """A UID derived from a UUID (PS3.5 B.2) made of `parts`: equal parts give equal UIDs.

    The UUID is of version 8 (RFC 9562 5.8): the first 16 bytes of the SHA-256 over the parts, joined by NUL.

    Raises:
        ValueError: a part contains NUL, so that two different lists of parts could look the same.
    """
    if any("\0" in part for part in parts):
        raise ValueError("a part of a UID's name contains NUL")
    number = int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:16])
    number = number & ~(0xF << 76) | 0x8 << 76  # version 8
    number = number & ~(0x3 << 62) | 0x2 << 62  # variant of RFC 9562
    return f"2.25.{number}"
