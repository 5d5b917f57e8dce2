"""A real 3-D model from its card alone: the mask lies on the brain, and not on the hole in it."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from inference.analyse import analyse
from inference.inputs import InputImages
from inference.volume import read_volume
from models.card import load_card
from tests.inference.stored_series import archive_in, stored

CARD = Path(__file__).parents[1] / "cards" / "brain-meshnet"
LESION = (6, slice(110, 150), slice(70, 100))
"""Slice from below, rows, columns: fluid where brain was, on the patient's right."""


@pytest.fixture
def card(tmp_path, test_data):
    folder = shutil.copytree(CARD, tmp_path / "brain-meshnet")
    shutil.copy(test_data / "onnx" / "brain-meshnet-3class" / "model.onnx", folder)
    return load_card(folder)


def test_brain_is_segmented_where_it_is(card, test_data, tmp_path, runtime):
    folder = test_data / "dicom" / "mr-series" / "brain-t1post-22"
    files = [path.read_bytes() for path in sorted(folder.iterdir())]
    with archive_in(tmp_path) as archive:
        instances = stored(archive, tmp_path, files)
        analysis = analyse(card, archive, runtime, [InputImages(tuple(instances))])
        volume = read_volume(archive, instances, [card.applies_to], card.checks)
    assert analysis.refusal is None
    white, grey = analysis.segments
    assert [white.label, grey.label] == ["White matter", "Grey matter"]
    brain = np.stack([white.mask(index) | grey.mask(index) for index in range(len(volume.frames))])
    assert brain.shape == volume.array.shape  # this series is stored as its canonical frame is
    litres = brain.sum() * np.prod(volume.spacing) / 1e6
    assert 0.7 < litres < 1.3
    head = volume.array > 150
    assert head[brain].mean() > 0.98
    # Turned or mirrored, the mask would lie on the hole.
    assert brain[LESION].mean() < 0.02
    assert brain[LESION[0], LESION[1], ::-1][:, LESION[2]].mean() > 0.5
