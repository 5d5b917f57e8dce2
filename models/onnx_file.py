"""What is checked of an ONNX file before it is loaded: it is the pinned one, and harmless."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped] # protobuf ships no types

from models.card import Card
from models.errors import ModelError
from models.schema.inputs import ImageInput

# What onnxruntime 1.31 loads; later runtimes load more, and a card can only rely on what all of them do.
MAX_IR_VERSION = 13
MAX_OPSET = 26
STANDARD_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
RANK = {"NCHW": 4, "NHWC": 4, "NCDHW": 5}


@dataclass(frozen=True, slots=True)
class CheckedModel:
    """An ONNX file that passed; `size` in bytes, external data included."""

    path: Path
    size: int
    ir_version: int
    opset: int


def check_model(card: Card) -> CheckedModel:
    """Check the ONNX file of `card`: place, size, digest, versions, external data, inputs and outputs.

    Raises:
        ModelError: naming the file and what is wrong with it.
    """
    names = [card.model.file, *card.model.external_data]
    size = sum(_inside(card.folder, name).stat().st_size for name in names)
    if size > card.model.max_bytes:
        raise ModelError(f"{card.model_path}: {size} bytes, more than max_bytes = {card.model.max_bytes}")
    for name, digest in {card.model.file: card.model.sha256, **card.model.external_data}.items():
        _check_digest(card.folder / name, digest)
    model = _parsed(card.model_path)
    opset = _check_versions(card.model_path, model)
    _check_external_data(card, model)
    _check_interface(card, model.graph)
    return CheckedModel(card.model_path, size, model.ir_version, opset)


def _inside(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        raise ModelError(f"{path}: no such file")
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ModelError(f"{path}: lies outside the package (a symbolic link to {path.resolve()})")
    return path


def _check_digest(path: Path, expected: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise ModelError(f"{path}: sha256 is {found}, the card pins {expected}")


def _parsed(path: Path) -> Any:
    try:
        return onnx.load(str(path), load_external_data=False)
    except DecodeError as error:
        raise ModelError(f"{path}: not an ONNX file: {error}") from error


def _check_versions(path: Path, model: Any) -> int:
    if not 1 <= model.ir_version <= MAX_IR_VERSION:
        raise ModelError(f"{path}: IR version {model.ir_version}, supported up to {MAX_IR_VERSION}")
    own = {function.domain for function in model.functions}
    versions = {entry.domain: entry.version for entry in model.opset_import}
    foreign = sorted(versions.keys() - STANDARD_DOMAINS - own)
    if foreign:
        raise ModelError(f"{path}: operators of unknown domains: {', '.join(foreign)}")
    opset = int(versions.get("", versions.get("ai.onnx", 0)))
    if not 1 <= opset <= MAX_OPSET:
        raise ModelError(f"{path}: opset {opset}, supported up to {MAX_OPSET}")
    return opset


def _check_external_data(card: Card, model: Any) -> None:
    for tensor in _tensors(model):
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        location = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
        if location not in card.model.external_data:
            raise ModelError(
                f"{card.model_path}: tensor {tensor.name!r} lies in {location!r}, which model.external_data "
                "of the card does not pin"
            )


def _tensors(model: Any) -> Iterator[Any]:
    """Every tensor of the model, those of sub-graphs, functions and Constant nodes included."""
    graphs, nodes = [model.graph], [node for function in model.functions for node in function.node]
    while graphs or nodes:
        for graph in graphs:
            yield from graph.initializer
            for sparse in graph.sparse_initializer:
                yield from (sparse.values, sparse.indices)
            nodes.extend(graph.node)
        attributes = [attribute for node in nodes for attribute in node.attribute]
        for attribute in attributes:
            yield from (attribute.t, *attribute.tensors)
        graphs = [graph for attribute in attributes for graph in (attribute.g, *attribute.graphs)]
        graphs, nodes = [graph for graph in graphs if graph.node or graph.initializer], []


def _check_interface(card: Card, graph: Any) -> None:
    weights = {tensor.name for tensor in graph.initializer}
    inputs = {item.name: item for item in graph.input if item.name not in weights}
    if card.input_names != inputs.keys():
        raise ModelError(
            f"{card.model_path}: takes {_listed(inputs)}, the card gives {_listed(card.input_names)}"
        )
    missing = card.output_names - {item.name for item in graph.output}
    if missing:
        raise ModelError(f"{card.model_path}: has no output {_listed(missing)}")
    for image in card.images:
        _check_image(card.model_path, image, inputs[image.name].type.tensor_type)
    if card.runtime.max_batch > 1:
        outputs = (item for item in graph.output if item.name in card.output_names)
        _check_batch(card.model_path, [*inputs.values(), *outputs])


def _check_batch(path: Path, items: Sequence[Any]) -> None:
    for item in items:
        shape = item.type.tensor_type.shape
        if not shape.dim or shape.dim[0].HasField("dim_value"):
            raise ModelError(f"{path}: the first axis of {item.name!r} is not free, max_batch must be 1")


def _check_image(path: Path, image: ImageInput, tensor: Any) -> None:
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
    if dtype != image.dtype:
        raise ModelError(f"{path}: input {image.name!r} is {dtype}, the card says {image.dtype}")
    rank = len(tensor.shape.dim)
    if tensor.HasField("shape") and rank != RANK[image.layout]:
        raise ModelError(
            f"{path}: input {image.name!r} has {rank} axes, {image.layout} has {RANK[image.layout]}"
        )


def _listed(names: Any) -> str:
    return ", ".join(sorted(names)) or "nothing"
