"""Real sessions: loaded once, checked, stopped when they take too long."""

import threading

import numpy as np
import onnxruntime
import pytest

from models.card import load_card
from models.errors import ModelError
from models.runtime import Runtime
from tests.models.packages import endless_graph, package


def picture(value=3.0, columns=5):
    return {"picture": np.full((1, 1, 4, columns), value, np.float32)}


@pytest.fixture
def card(tmp_path):
    return load_card(package(tmp_path / "small"))


def test_model_answers(card):
    outputs = Runtime(threads=1).run(card, picture(3.0))
    assert outputs.keys() == {"scores"}
    assert outputs["scores"].tolist() == [[3.0]]


def test_free_axes_take_any_size(card):
    runtime = Runtime(threads=1)
    assert [runtime.run(card, picture(1.0, n))["scores"].item() for n in (1, 9)] == [1.0, 1.0]


def test_session_is_loaded_once(card):
    runtime = Runtime(threads=1)
    runtime.run(card, picture())
    card.model_path.unlink()
    assert runtime.run(card, picture())["scores"].item() == 3.0


def test_tampered_model_is_never_loaded(card):
    with card.model_path.open("ab") as file:
        file.write(b"x")
    runtime = Runtime(threads=1)
    with pytest.raises(ModelError, match="the card pins"):
        runtime.run(card, picture())
    assert runtime.loaded() == 0


def test_session_used_longest_ago_goes_first(tmp_path):
    first, second, third = (
        load_card(package(tmp_path / name, name=name)) for name in ("first", "second", "third")
    )
    runtime = Runtime(threads=1, max_sessions=2)
    for each in (first, second, first, third):
        runtime.run(each, picture())
    assert runtime.loaded() == 2
    first.model_path.unlink()
    second.model_path.unlink()
    assert runtime.run(first, picture())["scores"].item() == 3.0
    with pytest.raises(ModelError, match="no such file"):
        runtime.run(second, picture())


def test_many_threads_share_one_session(card):
    runtime, answers = Runtime(threads=1), []
    threads = [
        threading.Thread(target=lambda n=n: answers.append(runtime.run(card, picture(n))["scores"].item()))
        for n in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [float(n) for n in range(16)]
    assert runtime.loaded() == 1


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({}, r"takes \['picture'\], was given \[\]"),
        ({"picture": np.zeros((1, 1, 4, 5))}, r"is float64, the model takes tensor\(float\)"),
        ({"picture": np.zeros((1, 1, 3, 5), np.float32)}, r"shape \[1, 1, 3, 5\], the model takes"),
        ({"picture": np.zeros((1, 4, 5), np.float32)}, r"shape \[1, 4, 5\], the model takes"),
    ],
)
def test_wrong_inputs_are_told_by_name(card, inputs, reason):
    with pytest.raises(ModelError, match=reason):
        Runtime(threads=1).run(card, inputs)


def test_model_that_never_ends_is_stopped(tmp_path):
    card = load_card(package(tmp_path, endless_graph(), name="endless"))
    with pytest.raises(ModelError, match=r"endless 1\.0\.0 took longer than 0\.2 s"):
        Runtime(threads=1, timeout_s=0.2).run(card, picture())


def test_limit_of_the_card_counts_where_it_is_shorter(tmp_path):
    folder = package(tmp_path, endless_graph(), name="endless")
    with (folder / "card.toml").open("a") as card:
        card.write("\n[runtime]\ntimeout_seconds = 0.2\nthreads = 1\n")
    with pytest.raises(ModelError, match=r"endless 1\.0\.0 took longer than 0\.2 s"):
        Runtime(timeout_s=60).run(load_card(folder), picture())


def test_what_runs_the_model_is_told(card):
    told = Runtime(threads=1, providers=["CPUExecutionProvider"]).describe(card)
    assert told["provider"] == "CPUExecutionProvider"
    assert told["runtime"] == f"onnxruntime {onnxruntime.__version__}"


def test_provider_that_is_not_there_is_named():
    with pytest.raises(ModelError, match=r"not on this machine: NoSuchProvider; there are .*CPU"):
        Runtime(providers=["NoSuchProvider"])
