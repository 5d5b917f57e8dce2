"""The grayscale pipeline against DCMTK and against the formulas of PS3.3 C.11."""

import json

import numpy as np
import pytest
from pydicom.dataset import Dataset

from storage.pixels.decode import decode_frame, read_attributes
from storage.pixels.errors import UndecodablePixels
from storage.pixels.grayscale import (
    Window,
    display,
    full_range,
    is_inverted,
    modality_values,
    picture_mask,
    to_8bit,
    voi,
    windows,
)
from tests.storage.pixel_files import Files, dcmtk_picture, image, written
from tests.support.programs import needs

RAMP = np.arange(4096, dtype="u2").reshape(64, 64)
needs_dcmtk = needs("dcmj2pnm")


def element(value, vr="DS"):
    return {"vr": vr, "Value": value if isinstance(value, list) else [value]}


def table(first, entries, bits, vr="US"):
    item = Dataset()
    item.add_new(0x00283002, vr, [len(entries) & 0xFFFF, first, bits])
    item.add_new(0x00283006, "OW", np.asarray(entries, "<u2").tobytes())
    return item


def shown(ds, tmp_path):
    files = Files()
    instance = files.add(written(ds, tmp_path / "image.dcm"))
    header = read_attributes(files, instance)
    return display(decode_frame(files, instance, 1, header).samples, header)


def assert_like_dcmtk(ds, tmp_path, *options):
    ours = shown(ds, tmp_path)
    theirs = dcmtk_picture(tmp_path / "image.dcm", *options)
    assert theirs is not None
    # DCMTK spreads a table's entries over 255/4096 steps, and so inverts the whitest to 1 where we give 0.
    tolerance = 2 if "VOILUTSequence" in ds and ds.PhotometricInterpretation == "MONOCHROME1" else 1
    assert np.abs(ours.astype(int) - theirs).max() <= tolerance
    assert ours.max() > ours.min()


@needs_dcmtk
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(
    ("attributes", "options"),
    [
        ({"WindowCenter": 1000, "WindowWidth": 1200}, ["+Wi", "1"]),
        ({"WindowCenter": "1000", "WindowWidth": "1200", "VOILUTFunction": "SIGMOID"}, ["+Wi", "1"]),
        ({"WindowCenter": 0, "WindowWidth": 1, "RescaleSlope": 1, "RescaleIntercept": -1024}, ["+Wi", "1"]),
        (
            {"WindowCenter": 40.5, "WindowWidth": 400, "RescaleSlope": 0.5, "RescaleIntercept": -300},
            ["+Wi", "1"],
        ),
        ({"VOILUTSequence": [table(100, np.linspace(0, 4095, 3000) ** 2 // 4095, 12)]}, ["+Wl", "1"]),
        ({"VOILUTSequence": [table(0, np.linspace(65535, 0, 4096), 16)]}, ["+Wl", "1"]),
        ({"ModalityLUTSequence": [table(500, np.linspace(0, 30000, 1000), 16)]}, ["+Wm"]),
        ({}, ["+Wm"]),
    ],
)
def test_pictures_equal_those_of_dcmtk(tmp_path, photometric, attributes, options):
    ds = image(RAMP, BitsStored=12, HighBit=11, PhotometricInterpretation=photometric, **attributes)
    assert_like_dcmtk(ds, tmp_path, *options)


@needs_dcmtk
def test_a_voi_table_over_hounsfield_units_starts_below_zero(tmp_path):
    ds = image((RAMP.astype("i2") - 2048), PixelRepresentation=1)
    ds.RescaleSlope, ds.RescaleIntercept = 1, 0
    ds.VOILUTSequence = [table(-500, np.linspace(0, 255, 1000), 8, vr="SS")]
    assert_like_dcmtk(ds, tmp_path, "+Wl", "1")


def test_a_window_follows_its_function():
    values = np.array([-1000, 0, 39, 40, 41, 100, 1000], np.float32)
    linear = np.clip(((values - 39.5) / 399 + 0.5) * 255, 0, 255).astype("u1")
    exact = np.clip(((values - 40) / 400 + 0.5) * 255, 0, 255).astype("u1")
    sigmoid = (255 / (1 + np.exp(-4 * (values - 40) / 400))).astype("u1")
    assert (to_8bit(values, Window(40, 400)) == linear).all()
    assert (to_8bit(values, Window(40, 400, "LINEAR_EXACT")) == exact).all()
    assert (to_8bit(values, Window(40, 400, "SIGMOID")) == sigmoid).all()


def test_the_narrowest_window_is_a_threshold():
    assert to_8bit(np.array([39, 40, 41], "i2"), Window(40, 1)).tolist() == [0, 255, 255]


def test_inverted_is_the_picture_of_the_other_photometric_interpretation():
    header = {"00281050": element(1000), "00281051": element(500), "00280004": element("MONOCHROME1", "CS")}
    bright = display(RAMP, header | {"00280004": element("MONOCHROME2", "CS")})
    assert np.abs(255 - bright.astype(int) - display(RAMP, header)).max() <= 1


@pytest.mark.parametrize(
    ("photometric", "shape", "inverted"),
    [
        ("MONOCHROME2", None, False),
        ("MONOCHROME1", None, True),
        ("MONOCHROME1", "INVERSE", True),
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME2", "INVERSE", True),
    ],
)
def test_large_values_are_dark_once(photometric, shape, inverted):
    header = {"00280004": element(photometric, "CS")} | ({"20500020": element(shape, "CS")} if shape else {})
    assert is_inverted(header) is inverted


@pytest.mark.parametrize("width", [0, 0.5, -1, "nonsense"])
def test_a_window_too_narrow_is_none(width):
    header = {"00281050": element(0), "00281051": element(width)}
    assert windows(header) == []
    assert voi(header) is None


def test_several_windows_keep_their_order_and_skip_the_impossible():
    header = {"00281050": element([40, "300", 5]), "00281051": element([400, "1500", 0])}
    assert windows(header) == [Window(40, 400), Window(300, 1500)]
    assert voi(header) == Window(40, 400)


def test_a_narrow_window_of_another_function_is_kept():
    header = {"00281050": element(0.5), "00281051": element(0.25), "00281056": element("LINEAR_EXACT", "CS")}
    assert voi(header) == Window(0.5, 0.25, "LINEAR_EXACT")


@pytest.mark.parametrize(
    ("width", "function"), [(0.5, "LINEAR"), (0, "SIGMOID"), (float("nan"), "LINEAR_EXACT")]
)
def test_a_window_that_cannot_be_is_refused_when_made(width, function):
    with pytest.raises(ValueError, match="cannot have a width"):
        Window(0, width, function)


def test_functional_groups_come_before_the_top_level():
    def group(slope, intercept, center):
        transformation = {"00281053": element(slope), "00281052": element(intercept)}
        return {
            "00289145": element([transformation], "SQ"),
            "00289132": element([{"00281050": element(center), "00281051": element(10)}], "SQ"),
        }

    header = {
        "00281053": element(99),
        "00281050": element(1),
        "00281051": element(2),
        "52009229": element([group(2, -5, 7)], "SQ"),
        "52009230": element([{}, group(3, -7, 8)], "SQ"),
    }
    samples = np.array([[10]], "u2")
    assert modality_values(samples, header, 1).tolist() == [[15]]
    assert modality_values(samples, header, 2).tolist() == [[23]]
    assert voi(header, 1) == Window(7, 10)
    assert voi(header, 2) == Window(8, 10)


@pytest.mark.parametrize(
    ("samples", "slope", "intercept", "dtype"),
    [
        (np.array([0, 4095], "u2"), 1, -1024, "i2"),
        (np.array([0, 65535], "u2"), 1, -1024, "i4"),
        (np.array([-2000, 3000], "i2"), 1, 0, "i2"),
        (np.array([0, 4095], "u2"), 0.5, -1024, "f4"),
        (np.array([0, 2**32 - 1], "u4"), 2, 1, "i8"),
        (np.array([0, 2**31], "u4"), 0.001, 0, "f8"),
        (np.array([0, 1], "f4"), 3, 1, "f4"),
    ],
)
def test_modality_values_are_exact_in_the_smallest_type(samples, slope, intercept, dtype):
    header = {"00281053": element(slope), "00281052": element(intercept)}
    values = modality_values(samples, header)
    assert values.dtype == dtype
    assert np.allclose(values.astype(float), samples.astype(float) * slope + intercept, rtol=1e-7)


def test_a_slope_of_zero_is_a_slope_left_unset():
    assert modality_values(
        np.array([5], "i2"), {"00281053": element(0), "00281052": element(-3)}
    ).tolist() == [2]


def test_padding_does_not_stretch_the_range():
    samples = np.array([[-2000, -1998, 10, 110]], "i2")
    header = {
        "00280120": element(63536, "US"),
        "00280121": element(63538, "US"),
        "00280103": element(1, "US"),
    }
    assert picture_mask(samples, header).tolist() == [[False, False, True, True]]
    assert display(samples, header).tolist() == [[0, 0, 0, 255]]


def test_a_picture_of_padding_only_is_black():
    assert display(np.full((2, 2), 7, "u2"), {"00280120": element(7, "US")}).max() <= 255


@pytest.mark.parametrize(("value", "level"), [(0, 0), (9, 255), (-9, 0)])
def test_a_flat_picture_is_black_or_white(value, level):
    assert to_8bit(np.full((2, 2), value, "i2"), full_range(np.full((2, 2), value, "i2"))).max() == level


def test_what_is_no_number_becomes_black():
    values = np.array([[np.nan, np.inf, -np.inf, 1, 3]], "f4")
    assert display(values, {}).tolist() == [[0, 255, 0, 0, 255]]


def test_values_of_32_bits_keep_their_lowest():
    values = np.array([2**31 - 256 + each for each in range(256)], "u4")
    assert display(values, {}).tolist() == list(range(256))


@pytest.mark.parametrize("descriptor", [[4, 0], [4, 0, 16, 1], []])
def test_a_table_with_a_broken_descriptor_is_refused(descriptor):
    item = {"00283002": element(descriptor, "US"), "00283006": element([1, 2, 3, 4], "US")}
    with pytest.raises(UndecodablePixels, match="descriptor"):
        display(RAMP, {"00283010": element([item], "SQ")})


def test_a_table_shorter_than_its_descriptor_is_refused():
    item = {"00283002": element([4, 0, 16], "US"), "00283006": element([1, 2], "US")}
    with pytest.raises(UndecodablePixels, match="of 4 entries holds"):
        display(RAMP, {"00283010": element([item], "SQ")})


@pytest.mark.parametrize("bits", [0, 65535])
def test_a_table_of_impossible_depth_is_refused(bits):
    item = {"00283002": element([2, 0, bits], "US"), "00283006": element([1, 2], "US")}
    with pytest.raises(UndecodablePixels, match="bits"):
        display(RAMP, {"00283010": element([item], "SQ")})


def test_numbers_may_come_as_text():
    header = json.loads(
        '{"00281050": {"vr": "DS", "Value": ["40 "]}, "00281051": {"vr": "DS", "Value": ["4e2"]}}'
    )
    assert voi(header) == Window(40, 400)


def test_a_float_map_with_a_window_of_one_is_no_threshold():
    header = {"00281050": element(0.5), "00281051": element(1), "7FE00008": {"vr": "OF"}}
    assert display(np.array([[0, 0.25, 0.5, 1]], "f4"), header).tolist() == [[0, 63, 127, 255]]


EXTREMES = [0, 1, -1, 0.1, 1e30, -1e30, 1e308, 5e-324, 2**31, 2**63, -(2**63)]


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "u4", "i8", "u8", "f4", "f8"])
def test_absurd_headers_make_an_absurd_picture_and_no_failure(dtype):
    if dtype[0] == "f":
        samples = np.array(
            [np.nan, np.inf, -np.inf, 0, 1e38, np.finfo(dtype).max, np.finfo(dtype).min], dtype
        )
    else:
        samples = np.array([0, 1, np.iinfo(dtype).max, np.iinfo(dtype).min], dtype)
    item = {"00283002": element([2, 0, 16], "US"), "00283006": element([1, 2], "US")}
    for slope in EXTREMES:
        for intercept in EXTREMES:
            header = {"00281053": element(slope), "00281052": element(intercept)}
            for more in (
                {},
                {"00283010": element([item], "SQ")},
                {"00281050": element(intercept), "00281051": element(slope)},
                {"00281050": element(0), "00281051": element(slope), "00281056": element("SIGMOID", "CS")},
                {"00280120": element(slope), "00280121": element(intercept)},
            ):
                assert display(samples, header | more).dtype == np.uint8
