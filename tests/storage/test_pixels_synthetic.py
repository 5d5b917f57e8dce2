"""Decoding of frames made for the purpose: all transfer syntaxes, layouts of bits, and what breaks them."""

import zlib

import imagecodecs
import numpy as np
import pytest
from pydicom.pixels.encoders import RLELosslessEncoder

from storage.pixels import colour
from storage.pixels.attributes import with_tables
from storage.pixels.codecs import DECODERS, EXPLICIT_BIG_ENDIAN
from storage.pixels.decode import decode, decode_frame, read_attributes
from storage.pixels.description import PixelDescription
from storage.pixels.errors import UndecodablePixels
from tests.storage.pixel_files import Files, image, written

SYNTAX = "1.2.840.10008.1.2"
NATIVE = f"{SYNTAX}.1"
RNG = np.random.default_rng(7)
SMOOTH = np.add.outer(np.arange(48) * 40, np.arange(64) * 20)
"""(48, 64), 0 to 3140."""


def description(shape, dtype="u2", **attributes):
    bits = np.dtype(dtype).itemsize * 8
    base = {"bits_allocated": bits, "bits_stored": bits, "samples": shape[2] if len(shape) > 2 else 1}
    base |= {"signed": np.dtype(dtype).kind == "i", "photometric": "RGB" if len(shape) > 2 else "MONOCHROME2"}
    base |= {"high_bit": (base | attributes)["bits_stored"] - 1} | attributes
    return PixelDescription(rows=shape[0], columns=shape[1], **base)


def rle(samples):
    """One RLE frame (PS3.5 G) by pydicom's own encoder."""
    return RLELosslessEncoder.encode(
        samples,
        encoding_plugin="pydicom",
        rows=samples.shape[0],
        columns=samples.shape[1],
        samples_per_pixel=samples.shape[2] if samples.ndim == 3 else 1,
        photometric_interpretation="RGB" if samples.ndim == 3 else "MONOCHROME2",
        bits_allocated=samples.dtype.itemsize * 8,
        bits_stored=samples.dtype.itemsize * 8,
        pixel_representation=int(samples.dtype.kind == "i"),
        number_of_frames=1,
        planar_configuration=0,
    )


def deflate(samples):
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(samples.tobytes()) + compressor.flush()


LOSSLESS = {
    f"{SYNTAX}.1.98": lambda a: a.tobytes(),
    f"{SYNTAX}.8.1": deflate,
    f"{SYNTAX}.5": rle,
    f"{SYNTAX}.4.57": lambda a: imagecodecs.jpeg8_encode(a, lossless=True, predictor=1),
    f"{SYNTAX}.4.70": lambda a: imagecodecs.jpeg8_encode(a, lossless=True, predictor=1),
    f"{SYNTAX}.4.80": imagecodecs.jpegls_encode,
    f"{SYNTAX}.4.90": lambda a: imagecodecs.jpeg2k_encode(a, codecformat="J2K", reversible=True),
    f"{SYNTAX}.4.201": lambda a: imagecodecs.htj2k_encode(a, reversible=True),
    f"{SYNTAX}.4.202": lambda a: imagecodecs.htj2k_encode(a, reversible=True, tlm=True, tilepart=1),
    f"{SYNTAX}.4.110": lambda a: imagecodecs.jpegxl_encode(a, lossless=True, effort=1),
}


@pytest.mark.parametrize("syntax", LOSSLESS)
@pytest.mark.parametrize("dtype", ["u1", "u2", "i2"])
def test_lossless_grey_comes_back_exactly(syntax, dtype):
    samples = (
        (SMOOTH // 16).astype("u1") if dtype == "u1" else (SMOOTH - 1000 * (dtype == "i2")).astype(dtype)
    )
    encoded = bytes(LOSSLESS[syntax](samples.view(dtype.replace("i", "u")) if ".4." in syntax else samples))
    assert (decode(encoded, description(samples.shape, dtype), syntax) == samples).all()


@pytest.mark.parametrize("syntax", LOSSLESS)
def test_lossless_colour_comes_back_exactly(syntax):
    samples = RNG.integers(0, 256, (24, 32, 3), dtype="u1")
    space = "YBR_RCT" if syntax.split(".")[-1] in {"90", "201", "202"} else "RGB"
    encoded = bytes(LOSSLESS[syntax](samples))
    assert (decode(encoded, description(samples.shape, "u1", photometric=space), syntax) == samples).all()


@pytest.mark.parametrize("syntax", [f"{SYNTAX}.4.90", f"{SYNTAX}.4.201"])
def test_signed_code_streams_keep_their_sign(syntax):
    samples = (SMOOTH - 1000).astype("i2")
    encoded = bytes(LOSSLESS[syntax](samples))
    assert (decode(encoded, description(samples.shape, "i2"), syntax) == samples).all()


def test_lossy_syntaxes_stay_close():
    grey = (SMOOTH // 16).astype("u1")
    for syntax, encoded in {
        f"{SYNTAX}.4.50": imagecodecs.jpeg8_encode(grey, level=95),
        f"{SYNTAX}.4.81": imagecodecs.jpegls_encode(grey, level=2),
        f"{SYNTAX}.4.91": imagecodecs.jpeg2k_encode(grey, level=60, codecformat="J2K", reversible=False),
        f"{SYNTAX}.4.112": imagecodecs.jpegxl_encode(grey, distance=0.5),
    }.items():
        decoded = decode(bytes(encoded), description(grey.shape, "u1"), syntax)
        assert np.abs(decoded.astype(int) - grey).max() <= 6, syntax


def test_twelve_bit_jpeg():
    samples = SMOOTH.astype("u2")
    encoded = bytes(imagecodecs.jpeg8_encode(samples, level=95, bitspersample=12))
    decoded = decode(encoded, description(samples.shape, bits_stored=12), f"{SYNTAX}.4.51")
    assert np.abs(decoded.astype(int) - samples).max() <= 16


def test_a_jpeg_recompressed_as_jpeg_xl_shows_the_same():
    samples = np.stack([SMOOTH // 16, SMOOTH[::-1] // 16, SMOOTH[:, ::-1] // 16], -1).astype("u1")
    jpeg = bytes(imagecodecs.jpeg8_encode(samples, level=90, subsampling="444"))
    described = description(samples.shape, "u1", photometric="YBR_FULL_422")
    one = decode(jpeg, described, f"{SYNTAX}.4.50")
    two = decode(bytes(imagecodecs.jpegxl_encode_jpeg(jpeg)), described, f"{SYNTAX}.4.111")
    assert np.abs(one.astype(int) - two).max() <= 4


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4"])
def test_native_integers_in_both_byte_orders(dtype):
    info = np.iinfo(dtype)
    samples = RNG.integers(info.min, info.max, (6, 8), dtype=dtype, endpoint=True)
    described = description(samples.shape, dtype)
    assert (decode(samples.tobytes(), described, NATIVE) == samples).all()
    big = samples.byteswap().tobytes() if dtype[1] != "1" else samples.view("u2").byteswap().tobytes()
    assert (decode(big, described, EXPLICIT_BIG_ENDIAN) == samples).all()


@pytest.mark.parametrize(("dtype", "kind"), [("f4", "float"), ("f8", "double")])
def test_float_pixel_data(dtype, kind):
    samples = RNG.normal(size=(5, 7)).astype(dtype)
    described = description(samples.shape, dtype, kind=kind)
    assert (decode(samples.tobytes(), described, NATIVE) == samples).all()
    assert (decode(samples.byteswap().tobytes(), described, EXPLICIT_BIG_ENDIAN) == samples).all()


def test_one_bit_frames_start_anywhere_in_a_byte():
    frames = RNG.integers(0, 2, (4, 3, 5), dtype="u1")
    packed = np.packbits(frames.ravel(), bitorder="little").tobytes()
    described = description((3, 5), "u1", bits_allocated=1, bits_stored=1, high_bit=0)
    for number, frame in enumerate(frames):
        first = number * 15
        covering = packed[first // 8 : -(-(first + 15) // 8)]
        assert (decode(covering, described, NATIVE, bit_offset=first % 8) == frame).all()


def test_twelve_signed_bits_of_sixteen_get_their_sign_and_lose_their_overlay():
    values = np.arange(-2048, 2048, dtype="i2").reshape(64, 64)
    with_overlay = (values.view("u2") & 0x0FFF) | RNG.integers(0, 16, values.shape, dtype="u2") << 12
    described = description(values.shape, "i2", bits_stored=12)
    assert (decode(with_overlay.tobytes(), described, NATIVE) == values).all()


def test_bits_that_do_not_start_at_the_lowest():
    values = RNG.integers(0, 1 << 10, (8, 8), dtype="u2")
    stored = values << 4 | 0xC00F
    described = description(values.shape, bits_stored=10, high_bit=13)
    assert (decode(stored.tobytes(), described, NATIVE) == values).all()


def test_colour_by_plane_equals_colour_by_pixel():
    samples = RNG.integers(0, 256, (4, 6, 3), dtype="u1")
    planes = np.moveaxis(samples, -1, 0).tobytes()
    assert (decode(planes, description(samples.shape, "u1", planar=1), NATIVE) == samples).all()


def test_ybr_full_comes_back_as_the_rgb_it_was_made_of():
    rgb = RNG.integers(0, 256, (16, 16, 3), dtype="u1")
    matrix = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
    ybr = np.clip(np.rint(rgb @ matrix.T + [0, 128, 128]), 0, 255).astype("u1")
    described = description(rgb.shape, "u1", photometric="YBR_FULL")
    for encoded, syntax in ((ybr.tobytes(), NATIVE), (rle(ybr), f"{SYNTAX}.5")):
        assert np.abs(decode(encoded, described, syntax).astype(int) - rgb).max() <= 2


def test_partial_range_spans_black_to_white():
    ybr = np.array([[[16, 128, 128], [235, 128, 128]]], "u1")
    decoded = decode(ybr.tobytes(), description(ybr.shape, "u1", photometric="YBR_PARTIAL"), NATIVE)
    assert decoded[0, 0].max() == 0
    assert decoded[0, 1].min() >= 254


def test_native_422_gives_two_columns_one_colour():
    stored = np.array([[10, 200, 128, 128, 130, 140, 120, 136]], "u1")
    described = description((1, 4, 3), "u1", photometric="YBR_FULL_422")
    decoded = decode(stored.tobytes(), described, NATIVE)
    assert decoded[0, 0].tolist() == [10, 10, 10]
    assert decoded[0, 1].tolist() == [200, 200, 200]
    assert (decoded[0, 3].astype(int) - decoded[0, 2]).tolist() == [10, 10, 10]


def jpeg_of(rgb, *, adobe=None, jfif=False, ids=b"\0\1\2"):
    """A baseline JPEG of raw components, with only the marks that are asked for."""
    stream = bytes(
        imagecodecs.jpeg8_encode(rgb, level=100, colorspace="RGB", outcolorspace="RGB", subsampling="444")
    )
    start = next(at for at in range(2, len(stream)) if stream[at : at + 2] == b"\xff\xdb")
    frame, scan = stream.index(b"\xff\xc0"), stream.index(b"\xff\xda")
    changed = bytearray(stream)
    for number, one in enumerate(ids):
        changed[frame + 10 + 3 * number] = changed[scan + 5 + 2 * number] = one
    marks = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0" if jfif else b""
    if adobe is not None:
        marks += b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes([adobe])
    return b"\xff\xd8" + marks + bytes(changed[start:])


@pytest.mark.parametrize(
    ("marks", "photometric", "is_rgb"),
    [
        ({"adobe": 0}, "YBR_FULL_422", True),
        ({"adobe": 1}, "RGB", False),
        ({"jfif": True}, "RGB", False),
        ({"ids": b"RGB"}, "YBR_FULL_422", True),
        ({}, "RGB", True),
        ({}, "YBR_FULL_422", False),
    ],
)
def test_the_marks_of_a_jpeg_decide_on_its_colour_before_the_data_set(marks, photometric, is_rgb):
    raw = np.full((16, 16, 3), (200, 90, 160), "u1")
    decoded = decode(
        jpeg_of(raw, **marks), description(raw.shape, "u1", photometric=photometric), f"{SYNTAX}.4.50"
    )
    expected = raw if is_rgb else colour.to_rgb(raw, "YBR_FULL", 8)
    assert np.abs(decoded.astype(int) - expected).max() <= 3


@pytest.mark.parametrize(
    "syntax", [each for each in LOSSLESS if each != f"{SYNTAX}.1.98"] + [f"{SYNTAX}.4.50"]
)
def test_a_stream_that_is_cut_off_is_refused(syntax):
    samples = RNG.integers(0, 256, (40, 40), dtype="u1")
    encode = LOSSLESS.get(syntax, imagecodecs.jpeg8_encode)
    encoded = bytes(encode(samples))
    with pytest.raises(UndecodablePixels):
        decode(encoded[: len(encoded) * 6 // 10], description(samples.shape, "u1"), syntax)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_htj2k_stream_that_breaks_in_its_middle_is_not_shown_as_black():
    samples = RNG.integers(1, 256, (48, 64), dtype="u1")
    encoded = bytes(LOSSLESS[f"{SYNTAX}.4.201"](samples))
    rng = np.random.default_rng(3)
    for _ in range(60):
        broken = bytearray(encoded)
        for at in rng.integers(100, len(broken), 3):
            broken[at] = rng.integers(0, 256)
        try:
            decoded = decode(bytes(broken), description(samples.shape, "u1"), f"{SYNTAX}.4.201")
        except UndecodablePixels:
            continue
        assert decoded.any()


def test_a_black_htj2k_frame_is_black():
    black = np.zeros((48, 64), "u1")
    encoded = bytes(LOSSLESS[f"{SYNTAX}.4.201"](black))
    assert not decode(encoded, description(black.shape, "u1"), f"{SYNTAX}.4.201").any()


def test_a_native_frame_that_is_too_short_is_refused():
    with pytest.raises(UndecodablePixels, match="31 bytes, 32 are needed"):
        decode(b"\0" * 31, description((4, 4)), NATIVE)


@pytest.mark.parametrize("syntax", [each for each in LOSSLESS if ".4." in each] + [f"{SYNTAX}.4.50"])
def test_a_stream_of_another_size_is_refused_before_it_is_decoded(syntax, monkeypatch):
    encoded = bytes(LOSSLESS.get(syntax, imagecodecs.jpeg8_encode)(np.zeros((64, 80), "u1")))
    for name in ("jpeg8_decode", "jpegls_decode", "jpeg2k_decode", "htj2k_decode", "jpegxl_decode"):
        monkeypatch.delattr(imagecodecs, name)
    with pytest.raises(UndecodablePixels, match="64 x 80"):
        decode(encoded, description((8, 8), "u1"), syntax)


@pytest.mark.parametrize("syntax", sorted(DECODERS))
@pytest.mark.parametrize(
    "data", [b"", b"\0", b"\xff\xd8", b"\xff\xd8\xff\xda\0\2", b"\xff\x0a", bytes(64), b"\xff" * 99]
)
def test_bytes_that_are_no_stream_are_refused(syntax, data):
    with pytest.raises(UndecodablePixels):
        decode(data, description((8, 8)), syntax)


# imagecodecs reports OpenJPH's errors as unraisable exceptions.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("syntax", sorted(DECODERS))
def test_flipped_bytes_end_in_samples_or_a_reason(syntax):
    samples = (SMOOTH // 16).astype("u1")
    encoded = bytes(
        LOSSLESS.get(syntax, LOSSLESS.get(syntax.replace(".51", ".57"), imagecodecs.jpeg8_encode))(samples)
    )
    rng = np.random.default_rng(3)
    for _ in range(40):
        broken = bytearray(encoded)
        for at in rng.integers(0, len(broken), 3):
            broken[at] = rng.integers(0, 256)
        try:
            assert decode(bytes(broken), description(samples.shape, "u1"), syntax).shape == samples.shape
        except UndecodablePixels as error:
            reason = str(error)
            assert reason


def test_video_names_its_transfer_syntax():
    with pytest.raises(UndecodablePixels, match=r"1\.2\.840\.10008\.1\.2\.4\.102"):
        decode(b"\0\0\0\1", description((8, 8), "u1"), f"{SYNTAX}.4.102")


@pytest.mark.parametrize(
    "attributes",
    [
        {"rows": 0},
        {"rows": 65535, "columns": 65535},
        {"samples": 4},
        {"bits_allocated": 12, "bits_stored": 12},
        {"bits_stored": 17},
        {"bits_stored": 0},
    ],
)
def test_descriptions_that_cannot_be_are_refused(attributes):
    with pytest.raises(UndecodablePixels):
        PixelDescription(**{"rows": 4, "columns": 4} | attributes)


def palette_header(entries, bits, data, tag="12"):
    header = {"00280103": {"vr": "US", "Value": [0]}}
    for channel in range(1, 4):
        header[f"0028110{channel}"] = {"vr": "US", "Value": [entries, 0, bits]}
        header[f"0028{tag}{'0' if tag == '12' else '2'}{channel}"] = {
            "vr": "OW",
            "BulkDataURI": f"bulkdata:{channel}",
        }
    return with_tables(header, lambda path: data[int(path) - 1])


def test_a_palette_of_sixteen_bits_shows_its_upper_eight():
    table = np.arange(256, dtype="<u2") * 256
    header = palette_header(256, 16, [table.tobytes(), table[::-1].tobytes(), (table // 2).tobytes()])
    shown = colour.from_palette(np.array([[0, 100, 255]], "u1"), header, signed=False)
    assert shown.tolist() == [[[0, 255, 0], [100, 155, 50], [255, 0, 127]]]


@pytest.mark.parametrize("packed", [True, False])
def test_a_palette_of_eight_bits_in_bytes_or_in_words(packed):
    table = np.arange(0, 200, 2, dtype="u1" if packed else "<u2").tobytes()
    header = palette_header(100, 8 if packed else 16, [table] * 3)
    assert colour.from_palette(np.array([[3, 250]], "u1"), header, signed=False)[0, :, 0].tolist() == [6, 198]


def test_a_segmented_palette_is_expanded():
    # Two discrete entries 0 and 10, a line of 4 to 50, then the first two segments again (C.7.9.2).
    codes = np.array([0, 2, 0, 10, 1, 4, 50, 2, 2, 0, 0], "<u2") * np.array(
        [1, 1, 256, 256, 1, 1, 256, 1, 1, 1, 1], "<u2"
    )
    header = palette_header(12, 16, [codes.tobytes()] * 3)
    for channel in range(1, 4):
        header[f"0028122{channel}"] = header.pop(f"0028120{channel}")
    shown = colour.from_palette(np.arange(12, dtype="u1")[None], header, signed=False)
    assert shown[0, :, 0].tolist() == [0, 10, 20, 30, 40, 50, 0, 10, 20, 30, 40, 50]


def test_a_missing_palette_is_named():
    with pytest.raises(UndecodablePixels, match="descriptor"):
        colour.from_palette(np.zeros((2, 2), "u1"), {}, signed=False)


def test_a_big_endian_palette_image_is_its_little_endian_twin(tmp_path):
    indices = np.arange(48, dtype="u1").reshape(6, 8)
    table = (np.arange(4000, dtype="<u2") % 251 * 256).astype("<u2")
    shown = []
    for syntax, order in ((NATIVE, "<u2"), (EXPLICIT_BIG_ENDIAN, ">u2")):
        ds = image(indices, PhotometricInterpretation="PALETTE COLOR")
        ds.PixelData = indices.view("<u2").astype(order).tobytes()
        for color in ("Red", "Green", "Blue"):
            setattr(ds, f"{color}PaletteColorLookupTableDescriptor", [4000, 0, 16])
            setattr(ds, f"{color}PaletteColorLookupTableData", table.astype(order).tobytes())
        files = Files()
        instance = files.add(written(ds, tmp_path / f"{order[0] == '>'}.dcm", syntax))
        header = read_attributes(files, instance)
        frame = decode_frame(files, instance, 1, header)
        assert (frame.samples == indices).all()
        shown.append(colour.from_palette(frame.samples, header, signed=False))
    assert (shown[0] == shown[1]).all()
    assert (shown[0][..., 0] == indices).all()
