"""Messages out: command sets and data sets as P-DATA-TF PDUs (PS3.8 9.3.5), in bounded memory."""

from collections.abc import Iterable, Iterator

from dicom_node import command
from dicom_node.pdus import COMMAND, LAST

_OVERHEAD = 6
"""Bytes that a PDU holds beside the fragment: PDV length, context ID, message control header."""
_BIGGEST = 1 << 20
_SMALLEST = 2


def fragment_size(maximum_length: int) -> int:
    """Bytes of a fragment for a peer with this Maximum Length (PS3.8 D.1); 0 is no limit.

    Fragments have even lengths (PS3.8 E.2).
    """
    room = min(maximum_length or _BIGGEST, _BIGGEST) - _OVERHEAD
    return max(room & ~1, _SMALLEST)


def command_pdus(context_id: int, encoded: bytes, size: int) -> Iterator[bytes]:
    """A command set, in fragments of at most `size` bytes."""
    return _pdus(context_id, COMMAND, (encoded,), size)


def data_set_pdus(context_id: int, chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """A data set that comes in chunks of any length, in fragments of at most `size` bytes.

    Each piece that is yielded is one PDU or several; about one chunk is held in memory.
    """
    return _pdus(context_id, 0, chunks, size)


def _pdus(context_id: int, control: int, chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    held = bytearray()
    for chunk in chunks:
        held += chunk
        # The last fragment is marked, so at least one byte waits until it is known what follows.
        whole = (len(held) - 1) // size * size if held else 0
        if whole:
            data = bytes(held[:whole])
            del held[:whole]
            yield b"".join(
                command.p_data_tf(context_id, control, data[at : at + size]) for at in range(0, whole, size)
            )
    yield command.p_data_tf(context_id, control | LAST, bytes(held))
