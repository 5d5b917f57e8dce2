"""Array steps before and after a model, against PIL and against what can be counted by hand."""

import numpy as np
import pytest
from PIL import Image

from models.preprocess import picture_tensor, placement, volume_tensor
from models.schema.inputs import ImageInput
from models.volume_grid import volume_grid


def spec(**changes):
    return ImageInput(**{"kind": "image", "name": "x", "layout": "NCHW", "values": "voi8"} | changes)


def ramp(rows, columns, dtype=np.uint8):
    return np.arange(rows * columns).reshape(rows, columns).astype(dtype)


def test_antialiased_shrinking_is_that_of_pil():
    picture = np.random.default_rng(1).integers(0, 256, (300, 517), np.uint8)
    tensor = picture_tensor(picture, spec(resize={"rows": 224, "columns": 224}))
    expected = np.asarray(Image.fromarray(picture).resize((224, 224), Image.Resampling.BILINEAR))
    assert tensor.dtype == np.float32
    assert np.array_equal(tensor[0, 0], expected)


def test_antialiased_floats_agree_with_bytes():
    picture = np.random.default_rng(2).integers(0, 256, (90, 70), np.uint8)
    resize = {"rows": 31, "columns": 40}
    exact = picture_tensor(picture.astype(np.float32), spec(resize=resize))
    assert np.abs(exact - picture_tensor(picture, spec(resize=resize))).max() <= 1.0


def test_linear_enlarging_interpolates_between_pixel_centres():
    picture = np.array([[0.0, 4.0]], np.float32)
    tensor = picture_tensor(picture, spec(resize={"rows": 1, "columns": 4, "method": "linear"}))
    assert tensor.ravel().tolist() == [0.0, 1.0, 3.0, 4.0]


def test_nearest_keeps_values():
    picture = np.array([[1, 2], [3, 4]], np.uint8)
    tensor = picture_tensor(picture, spec(resize={"rows": 4, "columns": 4, "method": "nearest"}))
    assert tensor[0, 0].tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]


def test_kept_aspect_is_centred_and_filled():
    picture = np.full((2, 4), 9, np.uint8)
    card = spec(resize={"rows": 8, "columns": 8, "keep_aspect": True}, pad_value=1)
    tensor = picture_tensor(picture, card)[0, 0]
    assert tensor[:, 0].tolist() == [1, 1, 9, 9, 9, 9, 1, 1]
    place = placement(2, 4, card)
    assert place.to_picture(2.0, 0.0) == (-0.25, -0.25)
    assert place.to_picture(5.0, 7.0) == (1.25, 3.25)


@pytest.mark.parametrize(
    "changes",
    [
        {"resize": {"rows": 12, "columns": 8, "keep_aspect": True}},
        {"resize": {"rows": 6, "columns": 6}},
        {"resize": {"rows": 7, "columns": 9, "method": "linear"}, "multiple_of": (4, 4)},
        {"multiple_of": (4, 4)},
        {},
    ],
)
def test_labels_come_back_to_the_pixels_they_were_made_from(changes):
    rows, columns = 5, 6
    place = placement(rows, columns, spec(**changes))
    rows_at, columns_at = np.meshgrid(np.arange(place.grid[0]), np.arange(place.grid[1]), indexing="ij")
    sources = np.array(
        [
            [place.to_picture(y, x) for y, x in zip(ys, xs, strict=True)]
            for ys, xs in zip(rows_at, columns_at, strict=True)
        ]
    )
    back = np.stack([place.labels_to_picture(sources[..., axis]) for axis in (0, 1)], axis=-1)
    expected = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), axis=-1)
    assert back.shape == (rows, columns, 2)
    assert np.abs(back - expected).max() <= 0.75


def test_normalisation_divides_then_centres_each_channel():
    picture = np.full((1, 1, 3), [0, 127, 255], np.uint8)
    tensor = picture_tensor(
        picture, spec(channels=3, divide_by=255, mean=(0.5, 0.5, 0.5), std=(0.5, 0.25, 0.5))
    )
    assert tensor[0, :, 0, 0].tolist() == pytest.approx([-1.0, 4 * (127 / 255 - 0.5), 1.0])


def test_channels_last():
    tensor = picture_tensor(ramp(2, 3), spec(layout="NHWC", channels=3))
    assert tensor.shape == (1, 2, 3, 3)
    assert tensor[0, 1, 2].tolist() == [5.0, 5.0, 5.0]


def test_colour_becomes_luminance():
    picture = np.array([[[255, 0, 0], [0, 255, 0], [255, 255, 255]]], np.uint8)
    tensor = picture_tensor(picture, spec())
    assert tensor[0, 0, 0].tolist() == np.asarray(Image.fromarray(picture).convert("L"))[0].tolist()


VOLUME = {"layout": "NCDHW", "values": "modality", "dtype": "int16"}


def grid_of(volume, card):
    return volume_grid(volume.shape, (1, 1, 1), card, "any")


def tensor_of(volume, card):
    return volume_tensor(volume, card, grid_of(volume, card))


def test_volume_is_not_copied():
    volume = np.zeros((3, 4, 4), np.int16)
    tensor = tensor_of(volume, spec(**VOLUME))
    assert tensor.shape == (1, 1, 3, 4, 4)
    assert np.shares_memory(tensor, volume)


def test_volume_is_padded_at_the_end_to_a_multiple():
    volume = np.full((2, 5, 8), 7, np.int16)
    card = spec(**VOLUME, multiple_of=(4, 4), pad_value=-1024)
    tensor = tensor_of(volume, card)
    assert tensor.shape == (1, 1, 2, 8, 8)
    assert tensor[0, 0, 1, :, 0].tolist() == [7] * 5 + [-1024] * 3
    assert np.array_equal(grid_of(volume, card).labels_to_image(tensor[0, 0]), volume)


def test_fractional_values_are_rounded_into_the_models_type():
    volume = np.array([[[-40000.0, 1.5, 2.5, 40000.0]]], np.float32)
    assert tensor_of(volume, spec(**VOLUME)).ravel().tolist() == [-32768, 2, 2, 32767]


def test_normalised_volume_becomes_float():
    volume = np.array([[[-1000, 0]]], np.int16)
    card = spec(layout="NCDHW", values="modality", divide_by=1000, mean=(0.5,))
    assert tensor_of(volume, card).ravel().tolist() == [-1.5, -0.5]


@pytest.mark.parametrize(
    ("scale", "expected"),
    [("min-max", [0.0, 0.25, 1.0]), ("z-score", [-0.9805806756909202, -0.39223227, 1.37281295])],
)
def test_values_are_scaled_by_their_own_range(scale, expected):
    picture = np.array([[2.0, 4.0, 10.0]], np.float32)
    assert picture_tensor(picture, spec(scale=scale)).ravel().tolist() == pytest.approx(expected)


def test_percentiles_leave_out_what_is_far_off():
    picture = np.arange(1000, dtype=np.float32).reshape(10, 100)
    picture[0, 0], picture[-1, -1] = -1e6, 1e6
    tensor = picture_tensor(picture, spec(scale="percentiles")).ravel()
    assert (tensor[0], tensor[-1]) == (0.0, 1.0)
    assert tensor[500] == pytest.approx(0.5, abs=0.01)


def test_clipped_before_scaled_and_padding_has_no_part_in_it():
    volume = np.array([[[-3000, 0, 1000, 9000]]], np.int16)
    card = spec(
        layout="NCDHW",
        values="modality",
        clip=(-1000, 1000),
        scale="min-max",
        size=(1, 1, 6),
        pad_value=-1000,
    )
    assert tensor_of(volume, card).ravel().tolist() == [0.0, 0.0, 0.5, 1.0, 1.0, 0.0]
