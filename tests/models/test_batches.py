"""Runs that wait for the same model go together, and give what they give alone."""

import threading

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from models.card import load_card
from models.errors import ModelError
from models.runtime import Runtime
from models.turns import Turns, Wanted
from tests.models.packages import batched_package, mean_graph, package


def picture(value, columns=5):
    return {"picture": np.full((1, 1, 4, columns), value, np.float32)}


def counting_graph():
    """scores[n, 1] = n: another answer in a batch than alone."""
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["picture", "axes"], ["mean"], keepdims=0),
            helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
            helper.make_node("Shape", ["picture"], ["n"], start=0, end=1),
            helper.make_node("Cast", ["n"], ["count"], to=TensorProto.FLOAT),
            helper.make_node("Add", ["nothing", "count"], ["scores"]),
        ],
        "counting",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["n", 1, 4, "columns"])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 1])],
        [
            numpy_helper.from_array(np.array([2, 3], np.int64), "axes"),
            numpy_helper.from_array(np.array(0, np.float32), "zero"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def test_many_inputs_give_what_each_gives_alone(tmp_path):
    card, runtime = batched_package(tmp_path, 4), Runtime(threads=1)
    values = np.random.default_rng(1).normal(size=11).tolist()
    together = runtime.run_all(card, [picture(value) for value in values])
    alone = [Runtime(threads=1).run(card, picture(value)) for value in values]
    assert [each["scores"].tobytes() for each in together] == [each["scores"].tobytes() for each in alone]


def test_inputs_of_other_sizes_do_not_go_together(tmp_path):
    answers = Runtime(threads=1).run_all(
        batched_package(tmp_path, 4), [picture(1, 5), picture(2, 7), picture(3, 5)]
    )
    assert [each["scores"].tolist() for each in answers] == [[[1.0]], [[2.0]], [[3.0]]]


def test_a_model_that_answers_otherwise_in_a_batch_runs_without(tmp_path, caplog):
    card, runtime = batched_package(tmp_path, 4, counting_graph()), Runtime(threads=1)
    for _ in range(2):
        answers = runtime.run_all(card, [picture(1), picture(2), picture(3)])
        assert [each["scores"].item() for each in answers] == [1.0, 1.0, 1.0]
    assert caplog.text.count("runs without batches") == 1


def test_a_graph_without_a_free_first_axis_takes_no_batches(tmp_path):
    graph = mean_graph()
    graph.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    with pytest.raises(ModelError, match="first axis of 'picture' is not free, max_batch must be 1"):
        Runtime(threads=1).load(batched_package(tmp_path, 4, graph))


class Model:
    """Carries out runs, the first one not before it is told to."""

    def __init__(self):
        self.begun, self.go = threading.Event(), threading.Event()
        self.batches = []

    def execute(self, wanted):
        self.begun.set()
        assert self.go.wait(10)
        self.batches.append(sorted(each.inputs["x"].item() for each in wanted))
        for each in wanted:
            each.outputs = each.inputs


def test_runs_that_wait_go_with_the_next_turn(tmp_path):
    model, card, slot = Model(), load_card(package(tmp_path / "any")), object()
    turns = Turns(model.execute)
    wanted = [Wanted(card, slot, {"x": np.array([value])}) for value in range(6)]
    threads = [threading.Thread(target=turns.run, args=([each], 4)) for each in wanted]
    threads[0].start()
    assert model.begun.wait(10)
    for thread in threads[1:]:
        thread.start()
    while len(turns.waiting) < 5:
        threading.Event().wait(0.001)
    model.go.set()
    for thread in threads:
        thread.join()
    assert sorted(map(len, model.batches)) == [1, 1, 4]
    assert sorted(value for batch in model.batches for value in batch) == list(range(6))


def test_what_ends_a_batch_is_told_to_all_of_it(tmp_path):
    def execute(_):
        raise MemoryError("no more")

    card = load_card(package(tmp_path / "any"))
    wanted = [Wanted(card, object(), {"x": np.zeros(1)}) for _ in range(2)]
    with pytest.raises(MemoryError):
        Turns(execute).run(wanted, 1)
    assert str(wanted[0].error) == "small 1.0.0: no more"


def test_a_process_that_holds_too_much_keeps_the_session_used_last(tmp_path):
    cards = [load_card(package(tmp_path / name, name=name)) for name in ("first", "second", "third")]
    runtime = Runtime(threads=1, max_memory=1)
    for card in cards:
        runtime.run(card, picture(1))
    assert runtime.loaded() == 1
