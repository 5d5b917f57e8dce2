"""Pieces of a deflated data set (PS3.5 A.5) without holding all of it."""

import zlib
from collections.abc import Iterable, Iterator

_STEP = 1 << 20


def inflated_range(deflated: Iterable[bytes], offset: int, length: int) -> bytes:
    """`length` bytes from `offset` of what the chunks `deflated` inflate to; fewer only at the end."""
    wanted = bytearray()
    position = 0
    for piece in _inflated(deflated):
        wanted += piece[max(0, offset - position) :]
        position += len(piece)
        if len(wanted) >= length:
            break
    return bytes(wanted[:length])


def _inflated(deflated: Iterable[bytes]) -> Iterator[bytes]:
    """Pieces of at most 1 MiB, whatever the chunks inflate to."""
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    for chunk in deflated:
        yield inflate.decompress(chunk, _STEP)
        while inflate.unconsumed_tail:
            yield inflate.decompress(inflate.unconsumed_tail, _STEP)
    yield inflate.flush()
