"""Graphs are written as Python functions (onnxscript) over operators that onnxruntime has known for long."""

from collections.abc import Callable
from typing import Any

import onnx
import onnx.inliner
from onnxscript import script

OPSET, IR_VERSION = 18, 10


def function(python: Callable[..., Any]) -> Any:
    """Turn a Python function over ONNX operators into an ONNX function that others can call."""
    return script()(python)


def model_of(graph: Any, name: str) -> onnx.ModelProto:
    """A checked model whose functions are inlined.

    Raises:
        onnx.checker.ValidationError: the graph is not valid ONNX.
    """
    model = graph.to_model_proto(ir_version=IR_VERSION)
    model = onnx.inliner.inline_local_functions(model)
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version, model.graph.name = "isocenter", "1", name
    versions = {item.domain: item.version for item in model.opset_import}
    del model.opset_import[:]
    model.opset_import.extend([onnx.helper.make_opsetid("", versions[""])])
    onnx.checker.check_model(model, full_check=True)
    return model
