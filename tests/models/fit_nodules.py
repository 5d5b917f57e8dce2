"""`python -m tests.models.fit_nodules` fits the score of ct-nodule-candidates (minutes; needs scipy)."""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from onnxscript import FLOAT, INT16
from onnxscript import opset18 as op
from scipy.optimize import minimize

from models.graphs.grids import coarsened, steps
from models.graphs.nodules import described, lungs_of
from models.graphs.scores import WEIGHTS
from models.graphs.script import function, model_of
from tests.models.nodule_phantoms import FITTED, distances_mm, is_hit, phantom

HIDDEN = 6
SMOOTHING = 1.0
HEAVIER = 20.0
DECIMALS = 4


@function
def probe(hu: INT16[1, 1, None, None, None], spacing: FLOAT[3]) -> tuple[FLOAT[None, 3], FLOAT[None, 13]]:
    """Everything that is scored, and the numbers it is scored by."""
    step = steps(spacing)
    coarse = coarsened(hu, step)
    lungs = lungs_of(coarse, spacing * op.Cast(step, to=FLOAT.dtype))
    places, numbers = described(hu, spacing, lungs, step)
    return places, numbers


def examples(session, seed):
    """Features [N, 13] and 1 for what lies in a nodule's middle; its outskirts are left out."""
    scan = phantom(seed)
    spacing = np.array(scan.voxel_mm, np.float32)
    places, numbers = session.run(None, {"hu": scan.hu[None, None], "spacing": spacing})
    target, unclear = np.zeros(len(places)), np.zeros(len(places), bool)
    for nodule in scan.truth.nodules:
        away = distances_mm(places, nodule, scan.voxel_mm)
        middle = away <= max(nodule.diameter / 3, 2)
        target[middle] = 1
        unclear |= is_hit(away, nodule) & ~middle
    return numbers[~unclear], target[~unclear]


def prepared(numbers):
    """As models/graphs/scores.py does it."""
    core = numbers[:, 1:2]
    ratios = np.concatenate([numbers[:, :1], np.maximum(numbers[:, 2:3], 0.01), numbers[:, 3:]], axis=1)
    ratios[:, :1] = np.clip(ratios[:, :1], 0.5, 15)
    ratios[:, 2:] = np.clip(ratios[:, 2:], 0.2, 8)
    logs = np.log(ratios)
    return np.concatenate([logs[:, :1], core, logs[:, 1:]], axis=1)


def fitted(numbers, target):
    """Weights of a network with one hidden layer by penalised likelihood."""
    values = prepared(numbers)
    mean, spread = values.mean(0), values.std(0)
    values = (values - mean) / spread
    count = values.shape[1]
    weight = np.where(target > 0, HEAVIER, 1.0)

    def parts(flat):
        cut = count * HIDDEN
        return flat[:cut].reshape(count, HIDDEN), flat[cut : cut + HIDDEN], flat[cut + HIDDEN : -1], flat[-1]

    def loss(flat):
        first, bias, second, offset = parts(flat)
        hidden = np.tanh(values @ first + bias)
        total = hidden @ second + offset
        slope = weight * (1 / (1 + np.exp(-np.clip(total, -50, 50))) - target)
        inner = np.outer(slope, second) * (1 - hidden * hidden)
        value = (weight * (np.logaddexp(0, total) - target * total)).sum()
        value += SMOOTHING * ((first**2).sum() + (second**2).sum())
        gradient = [
            (values.T @ inner + 2 * SMOOTHING * first).ravel(),
            inner.sum(0),
            hidden.T @ slope + 2 * SMOOTHING * second,
            [slope.sum()],
        ]
        return value, np.concatenate(gradient)

    rng = np.random.default_rng(0)
    start = [rng.normal(0, 0.3, count * HIDDEN), np.zeros(HIDDEN), rng.normal(0, 0.3, HIDDEN), [-3.0]]
    best = minimize(loss, np.concatenate(start), jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
    first, bias, second, offset = parts(best)
    return {
        "first": first / spread[:, None],
        "first_bias": bias - (mean / spread) @ first,
        "second": second,
        "second_bias": np.array([offset]),
    }


def main():
    """Fit on all phantoms that are there for it and write the weights."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    model = model_of(probe, "probe").SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    numbers, target = (
        np.concatenate(parts) for parts in zip(*(examples(session, s) for s in FITTED), strict=True)
    )
    sys.stdout.write(f"{len(target)} examples, {int(target.sum())} in nodules\n")
    weights = {name: np.round(value, DECIMALS).tolist() for name, value in fitted(numbers, target).items()}
    Path(WEIGHTS).write_text(json.dumps(weights, indent=1) + "\n")


if __name__ == "__main__":
    main()
