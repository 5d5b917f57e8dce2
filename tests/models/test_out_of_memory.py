"""A model that finds too little memory runs in half the batch, then on the CPU, then tells that it failed."""

from dataclasses import dataclass, field

import numpy as np
import onnxruntime
import pytest
from onnxruntime.capi.onnxruntime_pybind11_state import RuntimeException

from models.errors import OutOfMemory
from models.runtime import Runtime
from tests.models.packages import batched_package

CPU, GRAPHICS = "CPUExecutionProvider", "CUDAExecutionProvider"


@dataclass
class Machine:
    """Execution providers and how many pictures each has memory for at once."""

    room: dict[str, int]
    sizes: list[tuple[str, int]] = field(default_factory=list)
    """Provider and size of each run that was tried."""
    libraries: bool = False
    """Whether those of the graphics card were loaded, from the packages that brought them."""

    def preload(self, **_):
        self.libraries = True

    def session(self, *arguments, providers):
        """What onnxruntime gives, but with so much memory on the first of `providers`."""
        assert self.libraries
        return Session(real_session(*arguments, providers=[CPU]), providers[0][0], self)


real_session = onnxruntime.InferenceSession


@dataclass
class Session:
    """Runs on the CPU, says that it runs on `provider`, and finds no memory where there is too little."""

    real: onnxruntime.InferenceSession
    provider: str
    machine: Machine

    def __getattr__(self, name):
        return getattr(self.real, name)

    def get_providers(self):
        return [self.provider]

    def run(self, names, inputs, options):
        size = len(inputs["picture"])
        self.machine.sizes.append((self.provider, size))
        if size > self.machine.room[self.provider]:
            # What onnxruntime's arena says (core/framework/bfc_arena.cc).
            words = "Available memory of 1024 is smaller than requested bytes of 80000"
            raise RuntimeException(f"[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : {words}")
        return self.real.run(names, inputs, options if self.provider == CPU else None)


@pytest.fixture
def machine(monkeypatch):
    """Makes a machine whose providers have memory for so many pictures."""

    def make(**room) -> Machine:
        made = Machine({CPU: room["cpu"], GRAPHICS: room["graphics"]})
        monkeypatch.setattr(onnxruntime, "InferenceSession", made.session)
        monkeypatch.setattr(onnxruntime, "preload_dlls", made.preload)
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [GRAPHICS, CPU])
        return made

    return make


def pictures(count):
    return [{"picture": np.full((1, 1, 4, 5), value, np.float32)} for value in range(count)]


def test_a_batch_that_is_too_large_is_halved_until_it_fits(tmp_path, machine, caplog):
    made, card = machine(graphics=2, cpu=0), batched_package(tmp_path, 8)
    runtime = Runtime(threads=1)
    answers = runtime.run_all(card, pictures(11))
    assert [each["scores"].item() for each in answers] == list(range(11))
    assert [size for _, size in made.sizes if size > 1] == [8, 4, 2, 2, 2, 2, 2]
    assert {provider for provider, _ in made.sizes} == {GRAPHICS}
    assert "batches of at most 2 from now on" in caplog.text

    made.sizes.clear()
    runtime.run_all(card, pictures(4))
    assert made.sizes == [(GRAPHICS, 2), (GRAPHICS, 2)]


def test_what_does_not_fit_by_itself_runs_on_the_cpu_from_then_on(tmp_path, machine, caplog):
    made, card = machine(graphics=0, cpu=8), batched_package(tmp_path, 4)
    runtime = Runtime(threads=1)
    assert runtime.describe(card)["provider"] == GRAPHICS
    answers = runtime.run_all(card, pictures(4))
    assert [each["scores"].item() for each in answers] == [0, 1, 2, 3]
    assert made.sizes == [*((GRAPHICS, size) for size in (4, 2, 1)), *[(CPU, 1)] * 4]
    assert runtime.describe(card)["provider"] == CPU
    assert "it runs on the CPU from now on" in caplog.text


def test_what_does_not_fit_there_either_has_failed_with_the_reason(tmp_path, machine):
    made, card = machine(graphics=0, cpu=0), batched_package(tmp_path, 2)
    with pytest.raises(OutOfMemory, match=r"batched 1\.0\.0 failed: .*smaller than requested bytes"):
        Runtime(threads=1).run_all(card, pictures(2))
    assert made.sizes[-1] == (CPU, 1)
