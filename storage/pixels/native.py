"""Frames whose samples stand side by side: native and, unpacked, RLE and deflated (PS3.5 8.1, 8.2, G)."""

import zlib
from dataclasses import replace

import imagecodecs
import numpy as np

from storage.pixels.description import PixelDescription, Samples
from storage.pixels.errors import UndecodablePixels

_RLE_HEADER = 64


def native(
    encoded: bytes, description: PixelDescription, *, bit_offset: int = 0, big_endian: bool = False
) -> Samples:
    """The samples of a native frame, as stored: bits neither masked nor sign-extended, colour not converted.

    Args:
        encoded: the bytes that hold the frame.
        description: how they are laid out.
        bit_offset: where in the first byte a frame of 1-bit samples starts (PS3.5 8.1.1, D.2).
        big_endian: samples wider than a byte, and words of VR OW, have their first byte most significant.
    """
    need = -(-(description.native_bits + bit_offset) // 8)
    if len(encoded) < need:
        raise UndecodablePixels(f"the frame has {len(encoded)} bytes, {need} are needed")
    # PS3.5 7.3: in VR OW it is words that are swapped, also where two bytes or sixteen bits share one.
    if big_endian and description.vr == "OW" and description.bits_allocated in {1, 8}:
        encoded = (
            np.frombuffer(encoded[: len(encoded) & ~1], np.uint16).byteswap().tobytes()
            + encoded[len(encoded) & ~1 :]
        )
    if description.bits_allocated == 1:
        return _packed(encoded, description, bit_offset)
    dtype = description.dtype.newbyteorder(">") if big_endian else description.dtype
    flat = np.frombuffer(encoded, dtype, count=description.native_bits // description.bits_allocated)
    return _arranged(flat.astype(description.dtype, copy=False), description)


def rle(encoded: bytes, description: PixelDescription) -> Samples:
    """The samples of an RLE frame (PS3.5 G); each segment is one byte plane of one sample."""
    planes = description.samples * description.sample_bytes
    if len(encoded) < _RLE_HEADER or int.from_bytes(encoded[:4], "little") != planes:
        raise UndecodablePixels(f"the RLE header does not announce {planes} segments")
    if description.bits_allocated == 1:
        packed = replace(description, samples=1)
        size = -(-description.native_bits // 8)
        return _packed(imagecodecs.dicomrle_decode(encoded, "u1", out=size), packed, 0)
    size = description.rows * description.columns * planes
    data = imagecodecs.dicomrle_decode(encoded, description.dtype, out=size)
    if len(data) < size:
        raise UndecodablePixels(f"the RLE frame holds {len(data)} bytes, {size} are needed")
    # RLE keeps samples in planes whatever PlanarConfiguration says, and never subsampled (G.2).
    flat = np.frombuffer(data, description.dtype, count=size // description.sample_bytes)
    if description.samples == 1:
        return flat.reshape(description.shape)
    return np.moveaxis(flat.reshape(description.samples, description.rows, description.columns), 0, -1)


def deflated(encoded: bytes, description: PixelDescription) -> Samples:
    """The samples of a deflated frame (PS3.5 A.4.12), inflated to no more than the frame needs."""
    need = -(-description.native_bits // 8)
    try:
        data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(encoded, need)
    except zlib.error as error:
        raise UndecodablePixels(f"the deflated frame is broken: {error}") from error
    return native(data, description)


def _packed(encoded: bytes | bytearray, description: PixelDescription, bit_offset: int) -> Samples:
    bits = np.unpackbits(
        np.frombuffer(encoded, np.uint8), count=bit_offset + description.native_bits, bitorder="little"
    )
    return bits[bit_offset:].reshape(description.shape)


def _arranged(flat: Samples, description: PixelDescription) -> Samples:
    if description.is_subsampled:
        return _upsampled(flat, description)
    if description.samples > 1 and description.planar == 1:
        planes = flat.reshape(description.samples, description.rows, description.columns)
        return np.moveaxis(planes, 0, -1)
    return flat.reshape(description.shape)


def _upsampled(flat: Samples, description: PixelDescription) -> Samples:
    """Y1 Y2 Cb Cr for every two columns (C.7.6.3.1.2) to Y Cb Cr for each."""
    if description.columns % 2:
        raise UndecodablePixels(f"{description.photometric} with an odd number of columns")
    pairs = flat.reshape(description.rows, description.columns // 2, 4)
    full = np.empty(description.shape, flat.dtype)
    full[..., 0] = pairs[..., :2].reshape(description.rows, description.columns)
    full[..., 1] = np.repeat(pairs[..., 2], 2, axis=1)
    full[..., 2] = np.repeat(pairs[..., 3], 2, axis=1)
    return full
