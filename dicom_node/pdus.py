"""PDUs out of a byte stream (PS3.8 9.3), without ever holding a data set: one buffer, and views into it."""

import struct
from typing import NamedTuple

COMMAND, LAST = 0x01, 0x02
"""Bits of the message control header (PS3.8 E.2)."""
P_DATA_TF = 0x04
_KNOWN = range(0x01, 0x08)

_PDU_HEADER = struct.Struct(">BxI")
_PDV_HEADER = struct.Struct(">IBB")
_CONTROL = 2
"""Bytes of context ID and message control header, which the length of a PDV counts."""


class Malformed(Exception):
    """The peer sends what is no PDU."""


class Fragment(NamedTuple):
    """A piece of a presentation data value (PS3.8 9.3.5.1)."""

    context_id: int
    control: int
    """Message control header; `LAST` is set only in the last piece of the last fragment."""
    data: memoryview
    """Valid until the stream is read into again."""


class PduStream:
    """Takes bytes as they come and gives fragments of P-DATA-TF PDUs, and other PDUs whole."""

    def __init__(self, size: int = 1 << 20) -> None:
        """`size` bytes of buffer, which also bounds every PDU that is not a P-DATA-TF."""
        self._view = memoryview(bytearray(size))
        self._start = self._end = 0
        self._pdu_left = self._pdv_left = 0
        self._context_id = self._control = 0

    def room(self) -> memoryview:
        """Where to read into; fragments given before are overwritten."""
        if self._start:
            left = bytes(self._view[self._start : self._end])
            self._view[: len(left)] = left
            self._start, self._end = 0, len(left)
        return self._view[self._end :]

    def close(self) -> None:
        """Let go of the buffer; nothing comes any more."""
        self._view = memoryview(b"")
        self._start = self._end = 0

    def filled(self, count: int) -> None:
        """`count` bytes were read into `room`."""
        self._end += count

    def next(self) -> Fragment | bytes | None:
        """A fragment, a whole PDU of another type, or None when more bytes are needed.

        Raises:
            Malformed: what comes is no PDU, or too long.
        """
        while True:
            have = self._end - self._start
            if self._pdv_left:
                return self._piece(have) if have else None
            if have < _PDU_HEADER.size:
                return None
            if self._pdu_left:
                if self._begin_pdv() == 0:
                    return self._piece(0)
                continue
            kind, length = _PDU_HEADER.unpack_from(self._view, self._start)
            if kind != P_DATA_TF:
                return self._whole(kind, _PDU_HEADER.size + length, have)
            self._start += _PDU_HEADER.size
            self._pdu_left = length

    def _begin_pdv(self) -> int:
        length, self._context_id, self._control = _PDV_HEADER.unpack_from(self._view, self._start)
        if not _CONTROL <= length <= self._pdu_left - 4:
            raise Malformed(f"a PDV of {length} bytes in {self._pdu_left} bytes of a P-DATA-TF PDU")
        self._start += _PDV_HEADER.size
        self._pdu_left -= _PDV_HEADER.size
        self._pdv_left = length - _CONTROL
        return self._pdv_left

    def _piece(self, have: int) -> Fragment:
        length = min(have, self._pdv_left)
        data = self._view[self._start : self._start + length]
        self._start += length
        self._pdu_left -= length
        self._pdv_left -= length
        control = self._control & ~LAST if self._pdv_left else self._control
        return Fragment(self._context_id, control, data)

    def _whole(self, kind: int, length: int, have: int) -> bytes | None:
        if kind not in _KNOWN:
            raise Malformed(f"a PDU of type 0x{kind:02X}")
        if length > len(self._view):
            raise Malformed(f"a PDU of type 0x{kind:02X} with {length} bytes")
        if have < length:
            return None
        whole = bytes(self._view[self._start : self._start + length])
        self._start += length
        return whole
