"""ONNX files that are not what the card pins are refused before anything is loaded."""

import hashlib
import struct

import pytest
from onnx import helper

from models.card import load_card
from models.errors import ModelError
from models.onnx_file import MAX_OPSET, check_model
from tests.models.packages import external_weight, mean_graph, package


def refusal(folder):
    with pytest.raises(ModelError) as caught:
        check_model(load_card(folder))
    return str(caught.value)


def rewrite_card(folder, old, new):
    path = folder / "card.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_pinned_model_passes(tmp_path):
    checked = check_model(load_card(package(tmp_path)))
    assert (checked.opset, checked.ir_version) == (18, 10)
    assert checked.size == (tmp_path / "model.onnx").stat().st_size


def test_model_with_other_bytes_is_refused(tmp_path):
    package(tmp_path)
    with (tmp_path / "model.onnx").open("ab") as file:
        file.write(b"\0")
    assert "the card pins" in refusal(tmp_path)


def test_missing_model_is_named(tmp_path):
    package(tmp_path)
    (tmp_path / "model.onnx").unlink()
    assert refusal(tmp_path) == f"{tmp_path / 'model.onnx'}: no such file"


def test_symbolic_link_out_of_the_package_is_refused(tmp_path):
    package(tmp_path / "small")
    (tmp_path / "small" / "model.onnx").rename(tmp_path / "elsewhere.onnx")
    (tmp_path / "small" / "model.onnx").symlink_to(tmp_path / "elsewhere.onnx")
    assert "lies outside the package" in refusal(tmp_path / "small")


def test_file_that_is_no_onnx_is_refused(tmp_path):
    package(tmp_path)
    old = hashlib.sha256((tmp_path / "model.onnx").read_bytes()).hexdigest()
    (tmp_path / "model.onnx").write_bytes(b"\xff" * 100)
    rewrite_card(tmp_path, old, hashlib.sha256(b"\xff" * 100).hexdigest())
    assert "not an ONNX file" in refusal(tmp_path)


def test_file_larger_than_the_card_allows_is_refused(tmp_path):
    package(tmp_path, pinned="max_bytes = 10")
    assert "more than max_bytes = 10" in refusal(tmp_path)


def test_opset_beyond_the_runtime_is_refused(tmp_path):
    package(tmp_path, mean_graph(opset=MAX_OPSET + 1))
    assert f"opset {MAX_OPSET + 1}, supported up to {MAX_OPSET}" in refusal(tmp_path)


def test_ir_version_beyond_the_runtime_is_refused(tmp_path):
    model = mean_graph()
    model.ir_version = 99
    package(tmp_path, model)
    assert "IR version 99" in refusal(tmp_path)


def test_operators_of_a_foreign_domain_are_refused(tmp_path):
    model = mean_graph()
    model.opset_import.append(helper.make_opsetid("com.example.kernels", 1))
    package(tmp_path, model)
    assert "operators of unknown domains: com.example.kernels" in refusal(tmp_path)


def test_output_that_the_graph_lacks_is_named(tmp_path):
    package(tmp_path)
    rewrite_card(tmp_path, 'name = "scores"', 'name = "logits"')
    assert "has no output logits" in refusal(tmp_path)


def test_input_that_the_graph_lacks_is_named(tmp_path):
    package(tmp_path)
    rewrite_card(tmp_path, 'name = "picture"', 'name = "image"')
    assert "takes picture, the card gives image" in refusal(tmp_path)


def test_input_of_another_type_is_named(tmp_path):
    package(tmp_path)
    rewrite_card(tmp_path, 'layout = "NCHW"', 'layout = "NCHW"\ndtype = "int16"')
    assert "is float32, the card says int16" in refusal(tmp_path)


def test_pinned_external_weights_pass(tmp_path):
    weights = struct.pack("<f", 2.0)
    pinned = f'external_data = {{ "weights.bin" = "{hashlib.sha256(weights).hexdigest()}" }}'
    package(tmp_path, mean_graph(weight=external_weight("weights.bin")), pinned=pinned)
    (tmp_path / "weights.bin").write_bytes(weights)
    checked = check_model(load_card(tmp_path))
    assert checked.size == (tmp_path / "model.onnx").stat().st_size + 4


@pytest.mark.parametrize("location", ["weights.bin", "../secret", "/etc/passwd", ""])
def test_external_weights_that_are_not_pinned_are_refused(tmp_path, location):
    package(tmp_path, mean_graph(weight=external_weight(location)))
    assert f"'weight' lies in {location!r}, which model.external_data of the card does not pin" in refusal(
        tmp_path
    )


def test_external_weights_inside_a_loop_are_found(tmp_path):
    body = helper.make_graph([], "body", [], [], [external_weight("../secret")])
    inner = helper.make_graph([helper.make_node("If", ["x"], ["y"], then_branch=body)], "inner", [], [])
    model = mean_graph()
    model.graph.node.append(helper.make_node("If", ["x"], ["y"], then_branch=inner))
    package(tmp_path, model)
    assert "'../secret'" in refusal(tmp_path)


@pytest.mark.parametrize("location", ["../secret", "/etc/passwd"])
def test_external_weights_cannot_be_pinned_outside_the_package(tmp_path, location):
    (tmp_path / "secret").write_bytes(b"\0" * 4)
    pinned = f'external_data = {{ "{location}" = "{"0" * 64}" }}'
    folder = package(tmp_path / "small", mean_graph(weight=external_weight(location)), pinned=pinned)
    assert "lies outside the package" in refusal(folder)
