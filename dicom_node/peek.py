"""What a data set is, from its first bytes: before anything is stored, or sent."""

import struct
import zlib
from contextlib import suppress

from storage.encoding import IMPLICIT, UNDEFINED, ElementReader, encoding_of
from storage.errors import InvalidInstance
from storage.transfer_syntax import transfer_syntax

HEAD = 4096
"""Bytes of a data set that are looked at; the SOP Common UIDs are among its first ten elements."""
_SOP_CLASS_UID, _SOP_INSTANCE_UID = 0x00080016, 0x00080018
_SEQUENCE_END = {False: b"\xfe\xff\xdd\xe0\0\0\0\0", True: b"\xff\xfe\xe0\xdd\0\0\0\0"}


def sop_uids(head: bytes, syntax_uid: str) -> tuple[str, str]:
    """SOP Class UID and SOP Instance UID of a data set; each empty when it cannot be told.

    Args:
        head: the first bytes of the data set, all or at least `HEAD` of them.
        syntax_uid: its transfer syntax.
    """
    syntax = transfer_syntax(syntax_uid)
    if syntax.deflated:
        head = _inflated(head)
    found: dict[int, str] = {}
    # Some data sets are written without VRs where their transfer syntax has them.
    for encoding in (encoding_of(syntax), IMPLICIT):
        # What was found before the bytes made no sense is all there is to tell.
        with suppress(struct.error, InvalidInstance):
            _find(head, encoding.element, _SEQUENCE_END[syntax.big_endian], found)
    return found.get(_SOP_CLASS_UID, ""), found.get(_SOP_INSTANCE_UID, "")


def _inflated(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(head, HEAD)
    except zlib.error:
        return b""


def _find(data: bytes, element: ElementReader, sequence_end: bytes, found: dict[int, str]) -> None:
    at = 0
    while _SOP_INSTANCE_UID not in found:
        tag, _, length, value = element(data, at)
        if tag > _SOP_INSTANCE_UID:
            return
        if length != UNDEFINED:
            at = value + length
        elif (end := data.find(sequence_end, value)) >= 0:
            at = end + len(sequence_end)
        else:
            return
        if tag in {_SOP_CLASS_UID, _SOP_INSTANCE_UID}:
            found[tag] = data[value:at].decode("latin-1").strip(" \0")
