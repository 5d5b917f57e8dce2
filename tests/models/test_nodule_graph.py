"""ct-nodule-candidates on phantoms it was not fitted on, and on what is no chest."""

import hashlib

import numpy as np
import pytest

from models.card import load_card
from models.graphs.__main__ import BUILDERS, CARDS
from models.onnx_file import check_model
from models.runtime import Runtime
from sample_studies import ChestPhantom, Nodule
from tests.models.nodule_phantoms import FITTED, JUDGED, distances_mm, is_hit

pytestmark = pytest.mark.xdist_group("nodules")

CARD = load_card(CARDS / "ct-nodule-candidates")
THRESHOLD = CARD.outputs[0].threshold
NODULES = (Nodule(6.5), Nodule(8.0), Nodule(11.0), Nodule(9.5, pleural=True))
SEED = 700


@pytest.fixture(scope="module")
def runtime():
    return Runtime(threads=1)


@pytest.fixture(scope="module")
def phantom():
    return ChestPhantom(nodules=NODULES, seed=SEED)


@pytest.fixture(scope="module")
def outputs(runtime, phantom):
    return answer(runtime, phantom.hu, phantom.voxel_mm)


def answer(runtime, hu, spacing):
    inputs = {"hu": np.ascontiguousarray(hu)[None, None], "spacing": np.array(spacing, np.float32)}
    return runtime.run(CARD, inputs)


def refusals(outputs):
    refusing = [guard for guard in CARD.guards if guard.action == "refuse"]
    return {guard.output for guard in refusing if outputs[guard.output][guard.index] < guard.min}


def test_card_and_graph_are_valid_and_the_script_gives_the_pinned_file():
    checked = check_model(CARD)
    assert (checked.opset, checked.ir_version) == (18, 10)
    built = BUILDERS["ct-nodule-candidates"]().SerializeToString(deterministic=True)
    assert hashlib.sha256(built).hexdigest() == CARD.model.sha256


def test_no_phantom_is_both_fitted_and_judged():
    assert not {*FITTED} & {*JUDGED, SEED}


def test_every_nodule_is_marked_where_it_is_and_as_large_as_it_is(outputs, phantom):
    found = outputs["candidates"][outputs["candidates"][:, 4] >= THRESHOLD]
    for nodule in phantom.truth.nodules:
        away = distances_mm(found[:, :3], nodule, phantom.voxel_mm)
        assert away.min() < 3
        assert found[away.argmin(), 3] == pytest.approx(nodule.diameter, abs=3 if nodule.pleural else 1.5)


def test_few_marks_are_false(outputs, phantom):
    found = outputs["candidates"][outputs["candidates"][:, 4] >= THRESHOLD]
    hits = [is_hit(distances_mm(found[:, :3], n, phantom.voxel_mm), n) for n in phantom.truth.nodules]
    assert (~np.any(hits, axis=0)).sum() <= 3
    assert outputs["count"] == [len(found)]
    assert refusals(outputs) == set()


def test_candidates_are_few_sorted_and_apart(outputs, phantom):
    candidates = outputs["candidates"]
    assert 4 <= len(candidates) <= 64
    scores = candidates[:, 4]
    assert (np.diff(scores) <= 0).all()
    assert scores.min() >= 0.1
    assert scores.max() <= 1
    places = candidates[:, :3] * phantom.voxel_mm
    between = np.linalg.norm(places[:, None] - places[None], axis=2)
    assert between[~np.eye(len(places), dtype=bool)].min() >= 3


def test_healthy_lungs_have_few_marks(runtime):
    healthy = ChestPhantom(slices=64, seed=SEED + 1)
    assert answer(runtime, healthy.hu, healthy.voxel_mm)["count"] <= 3


def test_places_are_in_voxels_of_the_input(runtime, outputs, phantom):
    moved = answer(runtime, phantom.hu[4:, 30:, 25:], phantom.voxel_mm)["candidates"]
    for nodule in phantom.truth.nodules[:3]:
        there = outputs["candidates"][
            distances_mm(outputs["candidates"][:, :3], nodule, phantom.voxel_mm).argmin()
        ]
        expected = there[:3] - (4, 30, 25)
        assert np.abs((moved[:, :3] - expected) * phantom.voxel_mm).max(axis=1).min() < 1.5


def test_one_and_two_threads_give_the_same_bits(outputs, phantom):
    again = answer(Runtime(threads=2), phantom.hu, phantom.voxel_mm)
    for name, value in outputs.items():
        assert value.tobytes() == again[name].tobytes(), name


def test_without_lungs_nothing_is_marked_and_the_answer_refused(runtime):
    phantom = ChestPhantom(slices=40, rows=256, columns=256, spacing=3.0, lungs=False)
    outputs = answer(runtime, phantom.hu, phantom.voxel_mm)
    assert outputs["candidates"].shape == (0, 5)
    assert refusals(outputs) == {"lung_ml"}


@pytest.mark.parametrize("hu", [-1000, -850, 40])
def test_a_picture_of_one_thing_only_is_refused(runtime, hu):
    outputs = answer(runtime, np.full((40, 64, 64), hu, np.int16), (2.5, 0.7, 0.7))
    assert refusals(outputs) == {"lung_ml"}
