"""Builds small model packages: a graph of a few nodes and the card that pins it."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.card import Card, load_card

CARD = """
schema = 1
name = "{name}"
version = "{version}"
title = "A small graph"
task = "classification"
intended_use = "Tests"
not_for = ["anything else"]
licence = "Apache-2.0"
origin = "made in the test"
[model]
sha256 = "{digest}"
{pinned}
[applies_to]
scope = "instance"
modality = ["CR"]
[[inputs]]
kind = "image"
name = "picture"
layout = "NCHW"
values = "voi8"
[[outputs]]
kind = "scores"
name = "scores"
activation = "none"
[[outputs.labels]]
label = "Bright"
code = {{ value = "bright", scheme = "99TEST", meaning = "Bright" }}
"""


def mean_graph(*, opset: int = 18, weight: Any = None) -> Any:
    """scores[n, 1] = mean of the picture * weight."""
    weight = numpy_helper.from_array(np.array(1.0, np.float32), "weight") if weight is None else weight
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["picture", "axes"], ["mean"], keepdims=0),
            helper.make_node("Mul", ["mean", "weight"], ["scores"]),
        ],
        "mean",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["n", 1, 4, "columns"])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 1])],
        [numpy_helper.from_array(np.array([2, 3], np.int64), "axes"), weight],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def endless_graph() -> Any:
    """A Loop whose condition stays true."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["going"], ["still"]),
            helper.make_node("Sin", ["value"], ["next"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, None),
        ],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["", "true", "picture"], ["scores"], body=body)],
        "endless",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 1, 4, "columns"])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.array(True), "true")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def package(
    folder: Path, model: Any | None = None, *, name: str = "small", version: str = "1.0.0", pinned: str = ""
) -> Path:
    """A folder with `model.onnx` and the card that pins it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    onnx.save(mean_graph() if model is None else model, str(path))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "card.toml").write_text(CARD.format(name=name, version=version, digest=digest, pinned=pinned))
    return folder


def batched_package(folder: Path, most: int, model: Any | None = None) -> Card:
    """The card of a model that takes so many pictures at once."""
    made = package(folder / "batched", model, name="batched")
    with (made / "card.toml").open("a") as card:
        card.write(f"\n[runtime]\nmax_batch = {most}\n")
    return load_card(made)


def external_weight(location: str) -> Any:
    """A scalar whose bytes lie in the file `location`."""
    tensor = TensorProto(name="weight", data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, "offset": "0", "length": "4"}.items():
        tensor.external_data.add(key=key, value=value)
    return tensor
