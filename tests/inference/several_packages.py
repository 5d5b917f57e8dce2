"""A small model of two series and its card: the second less the first, and whether the second is there."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MEAN = """[[outputs]]
kind = "measurement"
name = "numbers"
[[outputs.groups]]
key = "change"
finding = { value = "change", scheme = "99TEST", meaning = "Change" }
[[outputs.groups.values]]
index = [0]
concept = { value = "mean", scheme = "99TEST", meaning = "Mean difference" }
unit = { value = "1", scheme = "UCUM", meaning = "no units" }
"""
CARD = """
schema = 1
name = "change"
version = "{version}"
title = "Change"
task = "segmentation"
intended_use = "Tests"
not_for = ["anything else"]
licence = "Apache-2.0"
origin = "made in the test"
[model]
sha256 = "{digest}"
[applies_to]
scope = "series"
modality = ["CT", "MR"]
[checks]
geometry = "regular-volume"
[[inputs]]
kind = "image"
name = "first"
layout = "NCDHW"
values = "modality"
match = {{ attributes = [{{ keyword = "SeriesDescription", like = ["*post*"] }}] }}
[[inputs]]
kind = "image"
name = "second"
layout = "NCDHW"
values = "modality"
align = "first"
{second}
{there}
[[outputs]]
kind = "label-map"
name = "mask"
[[outputs.segments]]
name = "change"
values = [1]
label = "Change"
type = {{ value = "39607008", scheme = "SCT", meaning = "Lung" }}
colour = [200, 80, 80]
{mean}{told}"""
THERE = """
[[inputs]]
kind = "presence"
name = "there"
of = "second"
"""
TOLD = """
[[outputs.groups.values]]
index = [1]
concept = { value = "there", scheme = "99TEST", meaning = "Second series" }
unit = { value = "1", scheme = "UCUM", meaning = "no units" }
"""
WITH_CROP = 'optional = true\nmatch = { attributes = [{ keyword = "SeriesDescription", like = ["*crop*"] }] }'
REQUIRED = WITH_CROP.replace("optional = true\n", "")
PRIOR = 'from = "prior study"\nother_frame_of_reference = "accept"\n' + WITH_CROP.replace("crop", "post")


VOLUME = (1, 1, "slices", "rows", "columns")


def change_graph(*, optional: bool, axes: tuple[int | str, ...] = VOLUME) -> Any:
    """In numbers[0] the mean of second less first, in numbers[1] whether it is there; a mask of > 50."""
    shape = list(axes)
    told = [("mean1", 1), ("there", 1)] if optional else [("mean1", 1)]
    there = [helper.make_tensor_value_info("there", TensorProto.FLOAT, [1])] if optional else []
    graph = helper.make_graph(
        [
            helper.make_node("Sub", ["second", "first"], ["difference"]),
            helper.make_node("Greater", ["difference", "limit"], ["more"]),
            helper.make_node("Cast", ["more"], ["mask"], to=TensorProto.UINT8),
            helper.make_node("ReduceMean", ["difference"], ["mean"], keepdims=0),
            helper.make_node("Reshape", ["mean", "one"], ["mean1"]),
            helper.make_node("Concat", [name for name, _ in told], ["numbers"], axis=0),
        ],
        "change",
        [
            helper.make_tensor_value_info("first", TensorProto.FLOAT, shape),
            helper.make_tensor_value_info("second", TensorProto.FLOAT, shape),
            *there,
        ],
        [
            helper.make_tensor_value_info("mask", TensorProto.UINT8, shape),
            helper.make_tensor_value_info("numbers", TensorProto.FLOAT, [len(told)]),
        ],
        [
            numpy_helper.from_array(np.array(50, np.float32), "limit"),
            numpy_helper.from_array(np.array([1], np.int64), "one"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


FILMS = """
schema = 1
name = "films"
version = "1.0.0"
title = "Films"
task = "measurement"
intended_use = "Tests"
not_for = ["anything else"]
licence = "Apache-2.0"
origin = "made in the test"
[model]
sha256 = "{digest}"
[applies_to]
scope = "instance"
modality = ["DX", "CR"]
[[inputs]]
kind = "image"
name = "first"
layout = "NCHW"
values = "stored"
resize = {{ rows = 8, columns = 8, method = "nearest" }}
match = {{}}
[[inputs]]
kind = "image"
name = "second"
layout = "NCHW"
values = "stored"
resize = {{ rows = 8, columns = 8, method = "nearest" }}
from = "prior study"
match = {{}}
optional = true
[[inputs]]
kind = "presence"
name = "there"
of = "second"
{mean}"""


def films_package(folder: Path) -> Path:
    """Write a package of a model of two films: this one, and one of a prior study."""
    package = folder / "films"
    package.mkdir(parents=True)
    onnx.save(change_graph(optional=True, axes=("batch", 1, 8, 8)), str(package / "model.onnx"))
    digest = hashlib.sha256((package / "model.onnx").read_bytes()).hexdigest()
    (package / "card.toml").write_text(FILMS.format(digest=digest, mean=MEAN))
    return package


def change_package(folder: Path, second: str = WITH_CROP, *, version: str = "1.0.0") -> Path:
    """Write the package; `second` says which series the second input gets."""
    package = folder / version
    package.mkdir(parents=True, exist_ok=True)
    optional = "optional" in second
    onnx.save(change_graph(optional=optional), str(package / "model.onnx"))
    digest = hashlib.sha256((package / "model.onnx").read_bytes()).hexdigest()
    parts = {"second": second, "there": THERE if optional else "", "told": TOLD if optional else ""}
    (package / "card.toml").write_text(CARD.format(digest=digest, version=version, mean=MEAN, **parts))
    return package
