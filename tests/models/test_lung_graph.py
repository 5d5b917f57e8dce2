"""ct-lung-density against the truth of phantoms and against scipy, and what it says when it cannot know."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from models.card import load_card
from models.graphs.__main__ import BUILDERS, CARDS
from models.onnx_file import check_model
from models.runtime import Runtime
from sample_studies import ChestPhantom
from tests.models import lung_reference

pytestmark = pytest.mark.xdist_group("lungs")

CARD = load_card(CARDS / "ct-lung-density")
REDUCED = {"slices": 60, "rows": 256, "columns": 256, "spacing": 5.0}


@pytest.fixture(scope="module")
def runtime():
    return Runtime(threads=1)


def answer(runtime, hu, spacing):
    inputs = {"hu": np.ascontiguousarray(hu)[None, None], "spacing": np.array(spacing, np.float32)}
    return runtime.run(CARD, inputs)


def broken(outputs, action):
    """Outputs whose guards in the card do not hold."""
    return {
        guard.output
        for guard in CARD.guards
        if guard.action == action and not holds(guard, outputs[guard.output][guard.index])
    }


def holds(guard, value):
    low = -np.inf if guard.min is None else guard.min
    high = np.inf if guard.max is None else guard.max
    return low <= value <= high


def check_against_truth(runtime, phantom):
    outputs = answer(runtime, phantom.hu, phantom.voxel_mm)
    truth = phantom.truth
    both = outputs["measurements"][0]
    assert outputs["measurements"][:, 0] == pytest.approx(truth.volume_ml, rel=0.01)
    assert both[1] == pytest.approx(truth.mean_hu, abs=6)
    assert both[2] == pytest.approx(truth.laa950_percent, abs=0.5)
    assert both[3] == pytest.approx(truth.perc15_hu, abs=2)
    assert broken(outputs, "refuse") == broken(outputs, "flag") == set()
    return outputs


def test_card_and_graph_are_valid_and_the_script_gives_the_pinned_file():
    checked = check_model(CARD)
    assert (checked.opset, checked.ir_version) == (18, 10)
    built = BUILDERS["ct-lung-density"]().SerializeToString(deterministic=True)
    assert hashlib.sha256(built).hexdigest() == CARD.model.sha256
    assert Path(checked.path).read_bytes() == built


@pytest.mark.parametrize(
    ("seed", "noise", "emphysema"), [(11, 10.0, 0.0), (12, 40.0, 0.1), (13, 20.0, 0.35), (14, 20.0, 0.9)]
)
def test_numbers_are_those_of_the_phantom(runtime, seed, noise, emphysema):
    check_against_truth(runtime, ChestPhantom(**REDUCED, seed=seed, noise=noise, emphysema=emphysema))


def test_full_size_scan_is_measured_voxel_by_voxel(runtime):
    phantom = ChestPhantom(seed=15, emphysema=0.05)
    outputs = check_against_truth(runtime, phantom)
    labels, true = outputs["labels"][0, 0], phantom.truth.labels
    shared = (labels > 0) & (true > 0)
    assert 2 * shared.sum() / ((labels > 0).sum() + (true > 0).sum()) > 0.99
    assert (labels[shared] == true[shared]).all()
    inside = phantom.hu[labels > 0]
    both = outputs["measurements"][0]
    assert both[0] == pytest.approx(inside.size * np.prod(phantom.voxel_mm) / 1000, rel=1e-5)
    assert both[1] == pytest.approx(inside.mean(), abs=1e-3)
    assert both[2] == pytest.approx(100 * (inside <= -950).mean(), abs=1e-4)
    assert (inside <= both[3]).mean() >= 0.15 > (inside < both[3]).mean()


@pytest.mark.parametrize(("seed", "emphysema"), [(16, 0.0), (17, 0.3)])
def test_scipy_reference_agrees(runtime, seed, emphysema):
    phantom = ChestPhantom(**REDUCED, seed=seed, emphysema=emphysema)
    outputs = answer(runtime, phantom.hu, phantom.voxel_mm)
    reference = lung_reference.measure(phantom.hu, phantom.voxel_mm)
    both = outputs["measurements"][0]
    assert both[0] == pytest.approx(reference.volume_ml, rel=0.01)
    assert both[1] == pytest.approx(reference.mean_hu, abs=3)
    assert both[2] == pytest.approx(reference.laa950_percent, abs=0.3)
    assert both[3] == pytest.approx(reference.perc15_hu, abs=2)
    mask = outputs["labels"][0, 0] > 0
    assert 2 * (mask & reference.mask).sum() / (mask.sum() + reference.mask.sum()) > 0.99


@pytest.fixture(scope="module")
def reduced():
    return ChestPhantom(**REDUCED, seed=18)


def test_one_and_two_threads_give_the_same_bits(runtime, reduced):
    first = answer(runtime, reduced.hu, reduced.voxel_mm)
    second = answer(Runtime(threads=2), reduced.hu, reduced.voxel_mm)
    for name, value in first.items():
        assert value.tobytes() == second[name].tobytes(), name


def test_sizes_that_no_block_divides_are_measured_as_well(runtime, reduced):
    whole = answer(runtime, reduced.hu, reduced.voxel_mm)
    cut = answer(runtime, reduced.hu[1:, 3:, 2:-1], reduced.voxel_mm)
    assert cut["labels"].shape == (1, 1, 59, 253, 253)
    assert cut["measurements"][:, 0] == pytest.approx(whole["measurements"][:, 0], rel=0.003)


def test_padding_outside_the_field_of_view_changes_nothing(runtime, reduced):
    padded = ChestPhantom(**REDUCED, seed=18, padding=-2000)
    outputs = answer(runtime, padded.hu, padded.voxel_mm)
    assert outputs["measurements"] == pytest.approx(
        answer(runtime, reduced.hu, reduced.voxel_mm)["measurements"], rel=0.01, abs=0.5
    )
    assert broken(outputs, "refuse") == set()


def test_gas_in_the_stomach_is_not_lung(runtime):
    phantom = ChestPhantom(**REDUCED, seed=19, stomach_gas_mm=70.0)
    outputs = answer(runtime, phantom.hu, phantom.voxel_mm)
    assert outputs["measurements"][:, 0] == pytest.approx(phantom.truth.volume_ml, rel=0.012)


def test_noisy_thick_slices_stay_near_the_truth(runtime):
    phantom = ChestPhantom(slices=30, rows=256, columns=256, spacing=10.0, noise=60.0, seed=20)
    outputs = answer(runtime, phantom.hu, phantom.voxel_mm)
    assert outputs["measurements"][:, 0] == pytest.approx(phantom.truth.volume_ml, rel=0.025)
    assert outputs["measurements"][0, 2] == pytest.approx(phantom.truth.laa950_percent, abs=0.5)


def test_without_lungs_there_are_no_numbers_and_a_refusal(runtime):
    phantom = ChestPhantom(**REDUCED, lungs=False)
    outputs = answer(runtime, phantom.hu, phantom.voxel_mm)
    assert (outputs["measurements"][:, 0] == 0).all()
    assert np.isnan(outputs["measurements"][:, 1:]).all()
    assert "measurements" in broken(outputs, "refuse")


@pytest.mark.parametrize("hu", [-1000, -850, 40])
def test_a_picture_of_one_thing_only_is_refused(runtime, hu):
    outputs = answer(runtime, np.full((30, 64, 64), hu, np.int16), (5.0, 2.0, 2.0))
    assert "measurements" in broken(outputs, "refuse")


@pytest.mark.parametrize("padding", [None, -2000])
def test_lung_beyond_the_edge_of_the_picture_is_refused(runtime, padding):
    phantom = ChestPhantom(**REDUCED, seed=21, pixel_mm=0.9, padding=padding)
    outputs = answer(runtime, phantom.hu, phantom.voxel_mm)
    assert "edge_contact_cm2" in broken(outputs, "refuse")


def test_lung_beyond_the_last_slice_is_refused(runtime, reduced):
    outputs = answer(runtime, reduced.hu[:45], reduced.voxel_mm)
    assert "end_contact_cm2" in broken(outputs, "refuse")


def test_tip_of_the_lung_beyond_the_first_slice_is_flagged(runtime, reduced):
    lowest = np.flatnonzero(reduced.truth.labels.any(axis=(1, 2)))[0]
    outputs = answer(runtime, reduced.hu[lowest + 1 :], reduced.voxel_mm)
    assert broken(outputs, "refuse") == set()
    assert "end_contact_cm2" in broken(outputs, "flag")


def test_missing_lung_is_flagged_and_the_other_one_measured(runtime, reduced):
    hu = reduced.hu.copy()
    hu[reduced.truth.labels == 2] = 40
    outputs = answer(runtime, hu, reduced.voxel_mm)
    assert "measurements" in broken(outputs, "flag")
    assert outputs["measurements"][1, 0] == pytest.approx(reduced.truth.volume_ml[1], rel=0.01)
    assert outputs["measurements"][2, 0] < 50


def test_lungs_that_touch_stay_two(runtime):
    phantom = ChestPhantom(**REDUCED, seed=22)
    hu = phantom.hu.copy()
    hu[35:40, 92:99, 112:144] = -850
    labels = answer(runtime, hu, phantom.voxel_mm)["labels"][0, 0]
    true = phantom.truth.labels
    both = (labels > 0) & (true > 0)
    assert (labels[both] != true[both]).mean() < 0.01
    assert labels[37, 95, 128] > 0
