"""Encoding of frames: what is lossless comes back equal, through decoders that are not ours too."""

import imagecodecs
import numpy as np
import pytest

from storage.pixels.codecs import DECODERS
from storage.pixels.decode import decode
from storage.pixels.description import PixelDescription
from storage.pixels.encode import ENCODERS, JPEG_BASELINE, JPEG_EXTENDED, LOSSY
from storage.pixels.streams import read_jpeg, read_jpeg2000

PREFIX = "1.2.840.10008.1.2.4"
LOSSLESS = [uid for uid in ENCODERS if uid not in LOSSY]
SMOOTH = np.add.outer(np.arange(48) * 40, np.arange(64) * 20)
"""(48, 64), 0 to 3140."""


def description(samples, stored, **attributes):
    bits = samples.itemsize * 8
    colour = samples.ndim == 3
    return PixelDescription(
        rows=samples.shape[0],
        columns=samples.shape[1],
        samples=3 if colour else 1,
        bits_allocated=bits,
        bits_stored=stored,
        high_bit=stored - 1,
        signed=samples.dtype.kind == "i",
        photometric="RGB" if colour else "MONOCHROME2",
        **attributes,
    )


IMAGES = {
    "12 bits": ((SMOOTH % 4096).astype("u2"), 12),
    "12 bits, signed": ((SMOOTH - 1500).astype("i2"), 12),
    "16 bits": ((SMOOTH * 20).astype("u2"), 16),
    "16 bits, signed": ((SMOOTH * 20 - 30000).astype("i2"), 16),
    "8 bits in 16": ((SMOOTH % 256).astype("u2"), 8),
    "8 bits": ((SMOOTH % 256).astype("u1"), 8),
    "8 bits, signed": ((SMOOTH % 256 - 128).astype("i1"), 8),
    "7 bits": ((SMOOTH % 128).astype("u1"), 7),
    "RGB": (np.stack([SMOOTH % 256, SMOOTH.T.reshape(48, 64) % 256, SMOOTH // 20], -1).astype("u1"), 8),
    "RGB of 16 bits": (np.stack([SMOOTH, SMOOTH * 20, SMOOTH // 2], -1).astype("u2"), 16),
}


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("uid", LOSSLESS)
def test_lossless_encodings_come_back_equal(uid, name):
    samples, stored = IMAGES[name]
    described = description(samples, stored)
    encoded = ENCODERS[uid].encode(samples, described)
    assert np.array_equal(decode(encoded, described, uid), samples)


def test_all_that_is_encoded_can_be_decoded():
    assert set(ENCODERS) <= set(DECODERS)


def test_baseline_is_close():
    for name in ("8 bits", "RGB"):
        samples, stored = IMAGES[name]
        smooth = samples // 4 + 64 if name == "8 bits" else np.full_like(samples, 90)
        described = description(smooth, stored)
        stream = ENCODERS[JPEG_BASELINE].encode(smooth, described)
        decoded = decode(stream, described, JPEG_BASELINE)
        assert np.abs(decoded.astype(int) - smooth).mean() < 4
        assert (read_jpeg(stream).precision, read_jpeg(stream).lossless) == (8, False)


def test_twelve_bits_are_close_in_extended_jpeg():
    samples, stored = IMAGES["12 bits"]
    described = description(samples, stored)
    stream = ENCODERS[JPEG_EXTENDED].encode(samples, described)
    decoded = decode(stream, described, JPEG_EXTENDED)
    assert np.abs(decoded.astype(int) - samples).mean() < 10
    assert (read_jpeg(stream).precision, read_jpeg(stream).lossless) == (12, False)


def test_lossless_jpeg_is_first_order_prediction_of_the_stored_depth():
    stream = ENCODERS[f"{PREFIX}.70"].encode(*IMAGES["12 bits"][:1], description(*IMAGES["12 bits"]))
    assert (read_jpeg(stream).precision, read_jpeg(stream).lossless) == (12, True)
    scan = stream.index(b"\xff\xda")
    assert stream[scan + 7] == 1  # Ss, the predictor (T.81 H.1.2)


@pytest.mark.parametrize("uid", [f"{PREFIX}.90", f"{PREFIX}.202"])
def test_colour_in_jpeg_2000_is_transformed_as_the_header_will_say(uid):
    samples, stored = IMAGES["RGB"]
    stream = ENCODERS[uid].encode(samples, description(samples, stored))
    assert read_jpeg2000(stream).colour_transform
    assert ENCODERS[uid].colour == "YBR_RCT"


def test_htj2k_has_its_resolutions_one_after_the_other():
    """PS3.5 A.4.4.2: RPCL, and tile-part lengths; a prefix decodes to a smaller image."""
    samples, stored = IMAGES["12 bits"]
    stream = ENCODERS[f"{PREFIX}.202"].encode(samples, description(samples, stored))
    assert b"\xff\x55" in stream[:200]  # TLM
    cod = stream.index(b"\xff\x52")
    assert stream[cod + 5] == 2  # RPCL
    small = imagecodecs.htj2k_decode(stream[: len(stream) * 2 // 3], skipres=2, resilient=True)
    assert np.array_equal(small, imagecodecs.htj2k_decode(stream, skipres=2))
