"""Phantoms: equal parameters give equal voxels, and the truth is what the parameters ask for."""

import hashlib

import numpy as np
import pytest

from sample_studies import ChestPhantom, Nodule

pytestmark = pytest.mark.xdist_group("chest")

SMALL = {"slices": 40, "rows": 128, "columns": 128, "spacing": 7.5}
NODULES = (Nodule(8.0), Nodule(12.0), Nodule(10.0, pleural=True))


def digest(phantom):
    truth = phantom.truth
    parts = (phantom.hu.tobytes(), truth.labels.tobytes(), repr(truth.summary()).encode())
    return hashlib.sha256(b"".join(parts)).hexdigest()


@pytest.fixture(scope="module")
def phantom():
    return ChestPhantom(**SMALL, nodules=NODULES, emphysema=0.05, seed=7)


def test_equal_parameters_give_equal_voxels_and_another_seed_others(phantom):
    again = ChestPhantom(**SMALL, nodules=NODULES, emphysema=0.05, seed=7)
    other = ChestPhantom(**SMALL, nodules=NODULES, emphysema=0.05, seed=8)
    assert digest(again) == digest(phantom) != digest(other)


def test_volume_is_that_of_an_adult_and_the_same_at_any_resolution(phantom):
    both, right, left = phantom.truth.volume_ml
    assert both == pytest.approx(right + left)
    assert 3500 < both < 5500
    assert right > left
    finer = ChestPhantom(
        slices=60, rows=256, columns=256, spacing=5.0, nodules=NODULES, emphysema=0.05, seed=7
    )
    assert finer.truth.volume_ml[0] == pytest.approx(both, rel=0.02)


def test_truth_is_measured_on_the_same_noisy_voxels(phantom):
    inside = phantom.hu[phantom.truth.labels > 0]
    assert phantom.truth.mean_hu == pytest.approx(inside.mean())
    assert phantom.truth.laa950_percent == pytest.approx(100 * (inside <= -950).mean())
    assert (inside <= phantom.truth.perc15_hu).mean() >= 0.15 > (inside < phantom.truth.perc15_hu).mean()


def test_right_lung_is_label_one_and_lies_at_low_columns(phantom):
    columns = phantom.truth.labels.nonzero()[2]
    sides = phantom.truth.labels[phantom.truth.labels > 0]
    assert columns[sides == 1].mean() < 64 < columns[sides == 2].mean()


def test_more_emphysema_means_more_low_attenuation():
    shares = [ChestPhantom(**SMALL, emphysema=share).truth.laa950_percent for share in (0.0, 0.1, 0.3)]
    assert shares[0] < 1
    assert 2 < shares[1] < 10 < shares[2] < 30


@pytest.mark.parametrize("sigma", [10.0, 40.0])
def test_noise_has_the_spread_that_was_asked_for(sigma):
    muscle = ChestPhantom(**SMALL, lungs=False, noise=sigma).hu[20, 50:70, 40:60]
    assert muscle.std() == pytest.approx(sigma, rel=0.1)


def test_neighbouring_pixels_share_noise_and_slices_do_not():
    muscle = ChestPhantom(40, 64, 64, 7.5, pixel_mm=0.7, lungs=False).hu[:, :20, :20].astype(float)
    muscle -= muscle.mean()
    along_row = (muscle[..., 1:] * muscle[..., :-1]).mean() / muscle.var()
    between_slices = (muscle[1:] * muscle[:-1]).mean() / muscle.var()
    assert 0.4 < along_row < 0.8
    assert abs(between_slices) < 0.05


def test_nodules_are_dense_balls_where_the_truth_says():
    phantom = ChestPhantom(slices=120, rows=256, columns=256, nodules=NODULES, noise=0.0)
    assert len(phantom.truth.nodules) == 3
    for nodule in phantom.truth.nodules:
        z, y, x = (round(at) for at in nodule.voxel)
        assert phantom.hu[z, y, x] > -100
    empty = ChestPhantom(slices=120, rows=256, columns=256, noise=0.0)
    added = (phantom.hu.astype(float) - empty.hu).sum() / 900 * np.prod(phantom.voxel_mm)
    solid = sum(np.pi / 6 * nodule.diameter**3 for nodule in NODULES[:2])
    assert added > 0.9 * solid


def test_nodule_without_room_is_refused():
    with pytest.raises(ValueError, match="no room for"):
        ChestPhantom(**SMALL, nodules=(Nodule(150.0),)).hu  # noqa: B018 - reading it makes it


def test_phantom_without_lungs_has_no_truth_to_give():
    truth = ChestPhantom(**SMALL, lungs=False).truth
    assert truth.volume_ml == (0, 0, 0)
    assert (truth.mean_hu, truth.laa950_percent, truth.perc15_hu) == (None, None, None)


def test_small_field_of_view_cuts_the_lungs_at_the_edge():
    labels = ChestPhantom(**SMALL, pixel_mm=1.6).truth.labels
    assert labels[:, :, 0].any()
    assert not ChestPhantom(**SMALL).truth.labels[:, :, 0].any()


def test_padding_stands_outside_the_round_field_of_view():
    hu = ChestPhantom(**SMALL, padding=-2000).hu
    assert (hu[:, 0, 0] == -2000).all()
    assert hu[:, 64, 64].min() >= -1024
