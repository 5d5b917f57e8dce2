"""Headers and layouts as the index keeps them: compressed, with a first byte that says how."""

import threading

import zstandard

_ZSTD = b"\x01"
_LEVEL = 3
# zstandard's contexts must not be shared by threads, and making one costs more than using it.
_local = threading.local()


def pack(data: bytes) -> bytes:
    """`data`, compressed."""
    if not hasattr(_local, "compressor"):
        _local.compressor = zstandard.ZstdCompressor(level=_LEVEL)
    packed: bytes = _local.compressor.compress(data)
    return _ZSTD + packed


def unpack(packed: bytes) -> bytes:
    """What `pack` was given.

    Raises:
        ValueError: it was packed by a newer version of this program.
    """
    if packed[:1] != _ZSTD:
        raise ValueError(f"packed in the unknown way {packed[:1]!r}: this program is older than the index")
    if not hasattr(_local, "decompressor"):
        _local.decompressor = zstandard.ZstdDecompressor()
    data: bytes = _local.decompressor.decompress(memoryview(packed)[1:])
    return data
