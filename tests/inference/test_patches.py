"""A volume run in parts gives what it gives as a whole."""

import numpy as np
import pytest

from inference.patches import run_in_patches
from models.errors import ModelError
from models.schema.inputs import Patch
from tests.inference.test_prepare import VOLUME, card_of

CARD = card_of(VOLUME, scope="series", checks={"geometry": "regular-volume"})


class Doubler:
    """A runtime whose model gives each voxel twice its value, and its negative."""

    def __init__(self):
        self.sizes = []

    def run(self, _card, inputs, _seconds):
        image = inputs["hu"]
        self.sizes.append(image.shape[2:])
        return {"scores": np.concatenate([2 * image, -image], axis=1).astype(np.float32)}


@pytest.mark.parametrize("blend", ["gaussian", "constant"])
@pytest.mark.parametrize("size", [(5, 9, 11), (4, 4, 4), (2, 3, 9)])
def test_parts_are_put_together_to_the_whole(blend, size):
    volume = np.random.default_rng(2).normal(size=(1, 1, *size)).astype(np.float32)
    model = Doubler()
    patch = Patch(size=(4, 4, 4), overlap=0.5, blend=blend)
    scores = run_in_patches(CARD, model, {"hu": volume}, patch, {})["scores"]
    assert set(model.sizes) == {(4, 4, 4)}
    assert scores.shape == (1, 2, *size)
    assert np.allclose(scores, np.concatenate([2 * volume, -volume], axis=1), atol=1e-5)


def test_model_that_gives_another_size_is_told():
    class Shrinking(Doubler):
        def run(self, _card, inputs, _seconds):
            return {"scores": np.zeros((1, 2, 3, 3, 3), np.float32)}

    with pytest.raises(ModelError, match=r"shape \[1, 2, 3, 3, 3\] for a part of \[4, 4, 4\]"):
        run_in_patches(CARD, Shrinking(), {"hu": np.zeros((1, 1, 5, 5, 5))}, Patch(size=(4, 4, 4)), {})
