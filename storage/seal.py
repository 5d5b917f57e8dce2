"""The seal: what a file says of itself, so that one flush is enough to know after a crash that it is whole.

It stands at the end of the file meta information, as the private information (0002,0102) of PS3.10 7.1: the
length of the file and the digest of its data set, written when the last byte has come.
"""

import struct
from pathlib import Path

from storage.errors import InvalidInstance
from storage.part10 import digest_of, mapped, read_meta

_CREATOR = "2.25.339921302495506772808308963516806540248"
_SEAL = struct.Struct("<Q32s")
LENGTH = _SEAL.size

ROOM = (
    struct.pack("<HH2sH", 2, 0x0100, b"UI", len(_CREATOR))  # of even length, as PS3.5 7.1.1 wants it
    + _CREATOR.encode()
    + struct.pack("<HH2sHI", 2, 0x0102, b"OB", 0, LENGTH)
    + bytes(LENGTH)
)
"""The last elements of file meta information that can be sealed; the seal becomes the last `LENGTH` bytes."""


def seal(size: int, digest: bytes) -> bytes:
    """The seal of a file of `size` bytes whose data set has this SHA-256."""
    return _SEAL.pack(size, digest)


def is_sealed(path: Path) -> bool:
    """There is a seal; whether it is true takes reading the file."""
    return _stated(path) is not None


def is_whole(path: Path) -> bool:
    """The file is all that its seal says."""
    stated = _stated(path)
    if stated is None:
        return False
    size, digest, offset = stated
    with path.open("rb") as file:
        return path.stat().st_size == size and bytes.fromhex(digest_of(file, offset)) == digest


def _stated(path: Path) -> tuple[int, bytes, int] | None:
    try:
        with path.open("rb") as file, mapped(file) as whole:
            meta = read_meta(whole)
    except InvalidInstance:
        return None
    if meta.private_creator != _CREATOR or len(meta.private) != LENGTH:
        return None
    size, digest = _SEAL.unpack(meta.private)
    return (size, digest, meta.dataset_offset) if size else None
