"""Messages out: command sets and data sets as P-DATA-TF PDUs (PS3.8 9.3.5), in bounded memory, not copied."""

import os
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from dicom_node import command
from dicom_node.pdus import COMMAND, LAST

Buffer = bytes | memoryview
Pdu = list[Buffer]
"""The bytes of a PDU, or of several, in order."""
_OVERHEAD = 6
"""Bytes that a PDU holds beside the fragment: PDV length, context ID, message control header."""
_BIGGEST = 1 << 20
_SMALLEST = 2
_BATCH = 1 << 20
"""Bytes that are sent at once, if there are as many."""
_BUFFERS = 900
"""Buffers after which they are sent; the system takes at most 1024."""
_PIECES = 64
"""Buffers in one fragment after which they are copied into one."""


def fragment_size(maximum_length: int) -> int:
    """Bytes of a fragment for a peer with this Maximum Length (PS3.8 D.1); 0 is no limit.

    Fragments have even lengths (PS3.8 E.2).
    """
    room = min(maximum_length or _BIGGEST, _BIGGEST) - _OVERHEAD
    return max(room & ~1, _SMALLEST)


def command_pdus(context_id: int, encoded: bytes, size: int) -> Iterator[Pdu]:
    """A command set, in fragments of at most `size` bytes."""
    return _pdus(context_id, COMMAND, (encoded,), size)


def data_set_pdus(context_id: int, chunks: Iterable[Buffer], size: int) -> Iterator[Pdu]:
    """A data set that comes in chunks of any length, in fragments of at most `size` bytes.

    What is yielded refers to the chunks, of which about `size` bytes are held.
    """
    return _pdus(context_id, 0, chunks, size)


def _pdus(context_id: int, control: int, chunks: Iterable[Buffer], size: int) -> Iterator[Pdu]:
    header = command.pdu_header(context_id, control, size)
    held: list[Buffer] = []
    length = 0
    for chunk in chunks:
        rest = memoryview(chunk)
        # The last fragment is marked, so a whole one waits until it is known whether something follows.
        while length + len(rest) > size:
            yield [header, *held, rest[: size - length]]
            rest = rest[size - length :]
            held, length = [], 0
        held.append(rest)
        length += len(rest)
        if len(held) >= _PIECES:
            held = [b"".join(held)]
    yield [command.pdu_header(context_id, control | LAST, length), *held]


def repeated(context_id: int, encoded: bytes, size: int) -> Callable[[bytes], bytes]:
    """What makes the PDUs of messages that have one command set and each its data set."""
    before = b"".join(chain.from_iterable(command_pdus(context_id, encoded, size)))

    def message(data_set: bytes) -> bytes:
        return b"".join([before, *chain.from_iterable(data_set_pdus(context_id, (data_set,), size))])

    return message


def batches(pdus: Iterable[Pdu]) -> Iterator[Pdu]:
    """The same PDUs, as many in one as may be sent at once."""
    batch: Pdu = []
    length = 0
    for pdu in pdus:
        batch += pdu
        length += sum(map(len, pdu))
        if length >= _BATCH or len(batch) >= _BUFFERS:
            yield batch
            batch, length = [], 0
    if batch:
        yield batch


def send_all(connection: socket.socket, batch: Pdu) -> None:
    """Send what `batches` gives. Raises `OSError`."""
    if isinstance(connection, ssl.SSLSocket):
        connection.sendall(b"".join(batch))
        return
    while batch:
        batch = _rest(batch, connection.sendmsg(batch))


def send_at_once(connection: socket.socket, batch: Pdu) -> Pdu:
    """Send what the system takes without waiting; the rest. Raises `OSError`."""
    if isinstance(connection, ssl.SSLSocket):
        return batch
    try:
        return _rest(batch, os.writev(connection.fileno(), batch))
    except BlockingIOError:
        return batch


def _rest(batch: Pdu, sent: int) -> Pdu:
    whole = 0
    while whole < len(batch) and sent >= len(batch[whole]):
        sent -= len(batch[whole])
        whole += 1
    if not sent:
        return batch[whole:]
    return [memoryview(batch[whole])[sent:], *batch[whole + 1 :]]
