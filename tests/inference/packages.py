"""A small volume model and its card: where the picture is dark, and what lies there."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CARD = """
schema = 1
name = "{name}"
version = "{version}"
title = "Dark voxels"
task = "segmentation"
intended_use = "Tests"
not_for = ["anything else"]
licence = "Apache-2.0"
origin = "made in the test"
[model]
sha256 = "{digest}"
[applies_to]
scope = "series"
modality = ["CT"]
min_instances = 3
[checks]
geometry = "regular-volume"
orientation = "axial"
[[inputs]]
kind = "image"
name = "hu"
dtype = "float32"
layout = "NCDHW"
values = "modality"
[[outputs]]
kind = "label-map"
name = "mask"
[[outputs.segments]]
name = "dark"
values = [1]
label = "Dark"
type = {{ value = "39607008", scheme = "SCT", meaning = "Lung" }}
colour = [80, 160, 240]
[[outputs]]
kind = "measurement"
name = "numbers"
[[outputs.groups]]
key = "dark"
finding = {{ value = "39607008", scheme = "SCT", meaning = "Lung" }}
segment = "dark"
[[outputs.groups.values]]
index = [0]
concept = {{ value = "118565006", scheme = "SCT", meaning = "Volume" }}
unit = {{ value = "{{voxels}}", scheme = "UCUM", meaning = "voxels" }}
"""

FILM_CARD = """
schema = 1
name = "bright-film"
version = "1.0.0"
title = "Bright film"
task = "classification"
intended_use = "Tests"
not_for = ["anything else"]
licence = "Apache-2.0"
origin = "made in the test"
[model]
sha256 = "{digest}"
[applies_to]
scope = "instance"
modality = ["CR", "DX"]
[[inputs]]
kind = "image"
name = "hu"
layout = "NCHW"
values = "voi8"
divide_by = 255
[[outputs]]
kind = "scores"
name = "numbers"
activation = "none"
[[outputs.labels]]
label = "Bright"
code = {{ value = "bright", scheme = "99TEST", meaning = "Bright" }}
threshold = 0.1
"""


def dark_graph() -> Any:
    """A mask of hu < -500, and in numbers[1] how many."""
    shape = [1, 1, "slices", "rows", "columns"]
    graph = helper.make_graph(
        [
            helper.make_node("Less", ["hu", "limit"], ["dark"]),
            helper.make_node("Cast", ["dark"], ["mask"], to=TensorProto.UINT8),
            helper.make_node("Cast", ["dark"], ["ones"], to=TensorProto.FLOAT),
            helper.make_node("ReduceSum", ["ones"], ["sum"], keepdims=0),
            helper.make_node("Reshape", ["sum", "one"], ["numbers"]),
        ],
        "dark",
        [helper.make_tensor_value_info("hu", TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info("mask", TensorProto.UINT8, shape),
            helper.make_tensor_value_info("numbers", TensorProto.FLOAT, [1]),
        ],
        [
            numpy_helper.from_array(np.array(-500, np.float32), "limit"),
            numpy_helper.from_array(np.array([1], np.int64), "one"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def bright_graph() -> Any:
    """In numbers[n, 1] the mean of each picture."""
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["hu", "axes"], ["mean"], keepdims=0),
            helper.make_node("Reshape", ["mean", "column"], ["numbers"]),
        ],
        "bright",
        [helper.make_tensor_value_info("hu", TensorProto.FLOAT, ["n", 1, "rows", "columns"])],
        [helper.make_tensor_value_info("numbers", TensorProto.FLOAT, ["n", 1])],
        [
            numpy_helper.from_array(np.array([1, 2, 3], np.int64), "axes"),
            numpy_helper.from_array(np.array([-1, 1], np.int64), "column"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def dark_package(folder: Path, *, name: str = "dark", version: str = "1.0.0") -> Path:
    return _package(folder / name, dark_graph(), CARD, name=name, version=version)


def film_package(folder: Path, *, max_batch: int = 1) -> Path:
    card = f"{FILM_CARD}[runtime]\nmax_batch = {max_batch}\n"
    return _package(folder / "bright-film", bright_graph(), card)


def _package(folder: Path, model: Any, card: str, **values: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    onnx.save(model, str(path))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "card.toml").write_text(card.format(digest=digest, **values))
    return folder
