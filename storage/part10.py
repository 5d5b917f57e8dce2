"""A DICOM file (PS3.10 7): preamble, file meta information, and the bytes of its data set."""

import errno
import hashlib
import mmap
import os
import struct
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO, FileIO
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from storage.encoding import EXPLICIT, UNDEFINED, Buffer, tag_name
from storage.errors import InvalidInstance, StorageDown, StorageFull
from storage.instances import checked_uid

_PREAMBLE = 128
_PREFIX = b"DICM"
MAX_META = 1 << 20
"""Bytes of file meta information; a private information element of some kB is the longest in use."""
MAX_INFLATED = 4 << 30
"""Bytes of an inflated data set."""
FREE_INFLATED = 256 << 20
"""Bytes up to which any data set may inflate: segmentations of little more than zeros reach 1:1000."""
MAX_RATIO = 200
"""Inflated to deflated bytes beyond that."""
_IN_MEMORY = 8 << 20
"""Bytes of an inflated data set that are held in memory; a bigger one goes through a temporary file."""
_STEP = 256 << 10
_AS_BYTES = 64 << 10
"""Bytes of a file that is read whole, which then is quicker than mapping it."""

_TEXTS = (0x00020010, 0x00020002, 0x00020003, 0x00020016, 0x00020100)
"""Transfer syntax, SOP class, SOP instance, source AE, creator of the private information."""
_PRIVATE = 0x00020102
_META_GROUP = b"\x02\x00"


@dataclass(frozen=True, slots=True)
class FileMeta:
    """What the file meta information (PS3.10 7.1) says of its data set."""

    dataset_offset: int
    transfer_syntax: str
    sop_class: str
    """Media Storage SOP Class UID, empty when missing."""
    sop: str
    """Media Storage SOP Instance UID, empty when missing."""
    source_ae: str = ""
    """Source Application Entity Title, empty when missing."""
    private_creator: str = ""
    """Private Information Creator UID, empty when missing."""
    private: bytes = b""
    """Private Information."""


def read_meta(start: Buffer) -> FileMeta:
    """The file meta information at the start of a file.

    Raises:
        InvalidInstance: it is missing, cut short, too long or without a transfer syntax.
    """
    if start[_PREAMBLE : _PREAMBLE + 4] != _PREFIX:
        raise InvalidInstance(_no_prefix(start))
    values, end = _meta_elements(start, _PREAMBLE + 4)
    transfer_syntax, sop_class, sop, source, creator = (
        values.get(tag, b"").decode("latin-1").strip(" \0") for tag in _TEXTS
    )
    if not transfer_syntax:
        raise InvalidInstance("no TransferSyntaxUID (0002,0010) in the file meta information")
    return FileMeta(
        dataset_offset=end,
        transfer_syntax=checked_uid(transfer_syntax, "TransferSyntaxUID"),
        sop_class=sop_class,
        sop=sop,
        source_ae=source,
        private_creator=creator,
        private=values.get(_PRIVATE, b""),
    )


def _no_prefix(start: Buffer) -> str:
    if start[:2] == _META_GROUP:
        return "not a DICOM file: the 128 bytes before the file meta information are missing"
    return "not a DICOM file: no DICM at byte 128"


def _meta_elements(start: Buffer, position: int) -> tuple[dict[int, bytes], int]:
    values: dict[int, bytes] = {}
    tag = 0
    # Group lengths are wrong or missing in too many files; the group number is what ends the group.
    while start[position : position + 2] == _META_GROUP:
        try:
            tag, _, length, value = EXPLICIT.element(start, position)
        except struct.error:
            raise InvalidInstance(f"cut short after {tag_name(tag)} of the file meta information") from None
        position = value + length
        if length == UNDEFINED or position > MAX_META:
            raise InvalidInstance(f"{tag_name(tag)} makes the file meta longer than {MAX_META} bytes")
        if position > len(start):
            raise InvalidInstance(f"cut short in {tag_name(tag)}: {len(start) - value} of {length} bytes")
        values[tag] = start[value:position]
    return values, position


def meta_of(path: Path) -> FileMeta:
    """The file meta information of a DICOM file. Raises as `read_meta`."""
    with path.open("rb") as file, mapped(file) as buffer:
        return read_meta(buffer)


def dataset_range(path: Path) -> tuple[int, str]:
    """Where the data set of a DICOM file starts, in bytes, and its transfer syntax UID.

    Raises:
        InvalidInstance: the file has no valid file meta information.
    """
    meta = meta_of(path)
    return meta.dataset_offset, meta.transfer_syntax


def digest_of(file: BinaryIO, offset: int) -> str:
    """SHA-256 (hex) of what follows `offset`, through a buffer of fixed size."""
    digest = hashlib.sha256()
    buffer = bytearray(_STEP)
    view = memoryview(buffer)
    file.seek(offset)
    while count := file.readinto(buffer):  # type: ignore[attr-defined] # BinaryIO lacks what every file has
        digest.update(view[:count])
    return digest.hexdigest()


@contextmanager
def opened(path: Path, data: bytes = b"") -> Iterator[tuple[BinaryIO, Buffer]]:
    """A file to read from, and its bytes; `data` are those when they are known already."""
    if data:
        yield BytesIO(data), data
        return
    with FileIO(path) as file, mapped(file) as whole:
        yield file, whole


@contextmanager
def mapped(file: BinaryIO) -> Iterator[Buffer]:
    """The bytes of an open file without reading them; nobody may shorten it meanwhile."""
    size = os.fstat(file.fileno()).st_size
    if size <= _AS_BYTES:
        yield os.pread(file.fileno(), size, 0)
        return
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as buffer:
        yield buffer


@contextmanager
def inflated(file: BinaryIO, offset: int, scratch: Path) -> Iterator[Buffer]:
    """The inflated data set (PS3.5 A.5) that starts at `offset` of the file.

    Args:
        file: open for reading.
        offset: first byte of the raw deflate stream (RFC 1951).
        scratch: folder for the temporary file of a big one, which has no name and ends with the context.

    Raises:
        InvalidInstance: the stream is corrupt, cut short, or inflates beyond the limits.
        StorageFull, StorageDown: the temporary file cannot be written.
    """
    file.seek(offset)
    pieces = _inflate(file)
    head = bytearray()
    for piece in pieces:
        head += piece
        if len(head) > _IN_MEMORY:
            break
    else:
        yield bytes(head)
        return
    with tempfile.TemporaryFile(dir=scratch) as target:
        _write(target, chain((head,), pieces))
        with mapped(target) as buffer:
            yield buffer


def _write(target: BinaryIO, pieces: Iterable[bytes | bytearray]) -> None:
    try:
        target.writelines(pieces)
        target.flush()
    except OSError as error:
        kind = StorageFull if error.errno in {errno.ENOSPC, errno.EDQUOT} else StorageDown
        raise kind(f"an inflated data set cannot be written: {error.strerror}") from error


def _inflate(file: BinaryIO) -> Iterator[bytes]:
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    taken = made = 0
    while not stream.eof:
        data = stream.unconsumed_tail or file.read(_STEP)
        if not data:
            raise InvalidInstance("cut short: the deflated data set has no end")
        try:
            piece = stream.decompress(data, _STEP)
        except zlib.error as error:
            raise InvalidInstance(f"the deflated data set is corrupt: {error}") from None
        taken += len(data) - len(stream.unconsumed_tail)
        made += len(piece)
        if made > MAX_INFLATED or (made > FREE_INFLATED and made > MAX_RATIO * taken):
            raise InvalidInstance(f"the deflated data set inflates beyond the limit: {taken} to {made} bytes")
        yield piece
