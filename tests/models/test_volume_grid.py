"""A volume comes to the model in the directions, spacing and size that it wants, and labels come back."""

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import ndimage

from models.schema.inputs import ImageInput
from models.volume_grid import volume_grid


def spec(**changes):
    return ImageInput(kind="image", name="x", layout="NCDHW", values="modality", **changes)


def volume(*size):
    return np.random.default_rng(1).integers(-1000, 1000, size).astype(np.int16)


def test_axes_lead_where_the_card_says():
    source = volume(2, 3, 4)  # axial: slices to S, rows to P, columns to L
    grid = volume_grid(source.shape, (5, 1, 1), spec(axes="RAS"), "axial")
    assert grid.shape == (4, 3, 2)
    expected = np.transpose(source[:, ::-1, ::-1], (2, 1, 0))
    assert np.array_equal(grid.sampled(source, 0), expected)
    assert grid.to_image(0, 0, 0) == (0, 2, 3)
    assert np.array_equal(grid.labels_to_image(expected), source)


@pytest.mark.parametrize(("orientation", "axes"), [("axial", "SPL"), ("coronal", "PIL"), ("sagittal", "LIP")])
def test_canonical_frame_by_its_letters_is_the_canonical_frame(orientation, axes):
    source = volume(2, 3, 4)
    grid = volume_grid(source.shape, (1, 1, 1), spec(axes=axes), orientation)
    assert grid.sampled(source, 0).base is source


def test_resampling_interpolates_linearly_about_the_middle():
    source = volume(6, 10, 8).astype(np.float32)
    grid = volume_grid(source.shape, (6, 1, 2), spec(spacing_mm=(2, 2, 2)), "axial")
    assert grid.shape == (18, 5, 8)
    places = np.meshgrid(*(axis.places for axis in grid.axes), indexing="ij")
    expected = ndimage.map_coordinates(source, places, order=1, mode="nearest")
    assert np.abs(grid.sampled(source, 0) - expected).max() < 1e-3


def test_middle_of_the_volume_is_the_middle_of_the_grid():
    grid = volume_grid(
        (22, 256, 256), (6.4, 0.9, 0.9), spec(spacing_mm=(1, 1, 1), size=(256, 256, 256)), "any"
    )
    assert grid.to_image(127.5, 127.5, 127.5) == pytest.approx((10.5, 127.5, 127.5))


def test_what_lies_around_the_volume_is_filled_and_what_is_too_much_is_cut():
    source = np.arange(1, 9, dtype=np.int16).reshape(1, 2, 4)
    grid = volume_grid(source.shape, (1, 1, 1), spec(size=(3, 2, 2)), "any")
    assert grid.sampled(source, -9).tolist() == [[[-9] * 2] * 2, [[2, 3], [6, 7]], [[-9] * 2] * 2]


def test_labels_outside_the_grid_are_background():
    grid = volume_grid((1, 1, 6), (1, 1, 1), spec(size=(1, 1, 2)), "any")
    assert grid.labels_to_image(np.full((1, 1, 2), 5, np.uint8)).tolist() == [[[0, 0, 5, 5, 0, 0]]]


def test_label_of_each_voxel_is_that_of_the_nearest_place_in_the_grid():
    grid = volume_grid((4, 4, 4), (3, 1, 1), spec(axes="LPI", spacing_mm=(2, 1, 1)), "axial")
    sizes = [np.arange(size) for size in grid.shape]
    for number, axis in enumerate(grid.axes):
        places = np.broadcast_to(
            np.reshape(axis.at(sizes[number]), [-1 if each == number else 1 for each in range(3)]), grid.shape
        )
        back = np.moveaxis(grid.labels_to_image(places), axis.source, -1)
        assert np.abs(back - np.arange(4)).max() <= abs(axis.step) / 2 + 1e-9


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"axes": "RLS"}, "must name each of S or I, A or P, L or R once"),
        ({"size": (8, 8, 8), "multiple_of": (4, 4)}, "size and multiple_of exclude each other"),
        ({"clip": (1, 0)}, "clip needs the lower limit first"),
    ],
)
def test_card_that_asks_for_what_cannot_be(changes, reason):
    with pytest.raises(ValidationError, match=reason):
        spec(**changes)
