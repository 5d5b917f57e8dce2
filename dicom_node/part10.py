"""The head of a Part 10 file: what is written before data set bytes that came over an association."""

import struct
from functools import lru_cache

from dicom_node.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from storage.seal import ROOM

_PREAMBLE = bytes(128) + b"DICM"
_MAX_AE = 16
_VERSION = b"\x02\x00\x01\x00OB\x00\x00\x02\x00\x00\x00\x00\x01"


def file_head(sop_class: str, sop: str, transfer_syntax: str, calling: str, called: str) -> bytes:
    """Preamble, prefix and file meta information (PS3.10 7.1), which can be sealed.

    Args:
        sop_class: Affected SOP Class UID of the C-STORE request.
        sop: its Affected SOP Instance UID.
        transfer_syntax: accepted for the presentation context, hence that of the data set bytes that follow.
        calling: AE title of the sender.
        called: AE title the sender called.
    """
    rest = _rest(transfer_syntax, calling, called)
    elements = _VERSION + _element(0x0002, b"UI", sop_class) + _element(0x0003, b"UI", sop) + rest
    return _PREAMBLE + struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(elements)) + elements


@lru_cache(64)
def _rest(transfer_syntax: str, calling: str, called: str) -> bytes:
    """What is the same in all files of an association."""
    return b"".join(
        (
            _element(0x0010, b"UI", transfer_syntax),
            _element(0x0012, b"UI", IMPLEMENTATION_CLASS_UID),
            _element(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME),
            _element(0x0016, b"AE", _ae_title(calling)),
            _element(0x0017, b"AE", _ae_title(calling)),
            _element(0x0018, b"AE", _ae_title(called)),
            ROOM,
        )
    )


def _element(number: int, vr: bytes, text: str) -> bytes:
    value = text.encode("ascii")
    if len(value) % 2:
        value += b"\0" if vr == b"UI" else b" "
    return struct.pack("<HH2sH", 2, number, vr, len(value)) + value


def _ae_title(title: str) -> str:
    """As much of `title` as an AE can hold (PS3.5 6.2); peers send all sorts."""
    return "".join(c for c in title if " " <= c <= "~" and c != "\\").strip()[:_MAX_AE]
