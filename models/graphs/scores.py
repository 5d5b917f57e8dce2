"""How likely a blob is a nodule: a network of one small hidden layer over 13 numbers.

The weights were fitted on phantoms (`python -m tests.models.fit_nodules`) and are kept as text.
"""

import json
from pathlib import Path

import numpy as np
import onnx
from onnxscript import FLOAT
from onnxscript import opset18 as op

from models.graphs.script import function

WEIGHTS = Path(__file__).with_name("nodule_weights.json")


def _weights(name: str) -> onnx.TensorProto:
    values = json.loads(WEIGHTS.read_text())[name]
    return onnx.numpy_helper.from_array(np.array(values, np.float32), name)


FIRST, FIRST_BIAS = _weights("first"), _weights("first_bias")
SECOND, SECOND_BIAS = _weights("second"), _weights("second_bias")


@function
def score(numbers: FLOAT[...]) -> FLOAT[...]:
    """From features [N, 13] (radius in mm, core, height, then shares of the radius) to 0..1 [N]."""
    radius = op.Log(op.Clip(op.Slice(numbers, [0], [1], [1]), 0.5, 15.0))
    core = op.Slice(numbers, [1], [2], [1])
    height = op.Log(op.Max(op.Slice(numbers, [2], [3], [1]), op.Constant(value_float=0.01)))
    shares = op.Log(op.Clip(op.Slice(numbers, [3], [13], [1]), 0.2, 8.0))
    values = op.Concat(radius, core, height, shares, axis=1)
    hidden = op.Tanh(op.MatMul(values, op.Constant(value=FIRST)) + op.Constant(value=FIRST_BIAS))
    total = op.MatMul(hidden, op.Unsqueeze(op.Constant(value=SECOND), [1])) + op.Constant(value=SECOND_BIAS)
    return op.Sigmoid(op.Squeeze(total, [1]))
