"""Runs models: sessions stay loaded, the provider is chosen and told, nothing runs without limits."""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from models.card import Card
from models.errors import ModelError, OutOfMemory
from models.sessions import CPU, ORT_ERRORS, Sessions, Slot
from models.turns import Turns, Wanted, shapes

log = logging.getLogger(__name__)

Array = npt.NDArray[Any]

_FAILURES: tuple[type[Exception], ...] = (MemoryError, *ORT_ERRORS)
_NO_MEMORY = ("Failed to allocate memory", "out of memory", "smaller than requested bytes", "bad_alloc")

_DTYPES = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(float16)": np.dtype(np.float16),
    "tensor(double)": np.dtype(np.float64),
    "tensor(int8)": np.dtype(np.int8),
    "tensor(int16)": np.dtype(np.int16),
    "tensor(int32)": np.dtype(np.int32),
    "tensor(int64)": np.dtype(np.int64),
    "tensor(uint8)": np.dtype(np.uint8),
    "tensor(uint16)": np.dtype(np.uint16),
    "tensor(bool)": np.dtype(np.bool_),
}


class Runtime:
    """Keeps the sessions of the models used last and runs them; safe to share between threads.

    Args:
        threads: Threads of one run; 0 lets onnxruntime take every core.
        max_sessions: Loaded models kept; the one not used for longest goes first.
        max_memory: Bytes; a process that holds more lets go of models not used for longest before it loads
            another, None for no limit.
        providers: Execution providers in order of preference, each of which must exist on this machine; by
            default CUDA where it exists, else the CPU.
        timeout_s: A run that takes longer is stopped, None for no limit.
    """

    def __init__(
        self,
        *,
        threads: int = 0,
        max_sessions: int = 8,
        max_memory: int | None = None,
        providers: Sequence[str] | None = None,
        timeout_s: float | None = None,
    ) -> None:
        self._sessions = Sessions(threads, max_sessions, max_memory, providers)
        self._timeout_s = timeout_s
        self._turns = Turns(self._execute)

    def run(
        self, card: Card, inputs: Mapping[str, Array], seconds: dict[str, float] | None = None
    ) -> dict[str, Array]:
        """The outputs that the card names, for `inputs` by name; see `run_all`."""
        return self.run_all(card, [inputs], seconds)[0]

    def run_all(
        self, card: Card, inputs: Sequence[Mapping[str, Array]], seconds: dict[str, float] | None = None
    ) -> list[dict[str, Array]]:
        """The outputs that the card names, by name, for each of `inputs`.

        One model runs at a time. Where the card allows batches, inputs of the same shapes run together, also
        with those that other threads wait for; the first batch of a size is compared with single runs, and
        where it gives other bytes there are no batches of this model. What finds too little memory is tried
        in half the batch, down to single runs, and those on the CPU.

        Args:
            card: the model.
            inputs: each for a run of its own, by name.
            seconds: what `model` took and what `turn`, waiting for others, is added here.

        Raises:
            ModelError: the file is not the pinned one or does not load, an input is missing or of the wrong
                type or shape, the model failed or ran out of memory, or it took longer than `timeout_s`.
        """
        slot = self._sessions.of(card)
        for given in inputs:
            _check_inputs(card, slot.session, given)
        wanted = [Wanted(card, slot, given) for given in inputs]
        began = time.perf_counter()
        self._turns.run(wanted, slot.max_batch)
        for each in wanted:
            if each.error is not None:
                raise each.error
        if seconds is not None:
            model = sum(each.seconds for each in wanted)
            waited = max(time.perf_counter() - began - model, 0.0)
            seconds["model"] = seconds.get("model", 0.0) + model
            seconds["turn"] = seconds.get("turn", 0.0) + waited
        return [each.outputs for each in wanted]

    def load(self, card: Card) -> None:
        """Make the session now, so that the first run does not wait for it. Raises as `run`."""
        self._sessions.of(card)

    def describe(self, card: Card) -> dict[str, str]:
        """What runs this model and belongs to the identity of its results. Raises as `run`."""
        return {
            "runtime": f"onnxruntime {onnxruntime.__version__}",
            "provider": self._sessions.of(card).provider,
            "optimisation": "all",
        }

    def loaded(self) -> int:
        """How many sessions are kept."""
        return len(self._sessions)

    def _execute(self, wanted: Sequence[Wanted]) -> None:
        slot, waiting = wanted[0].slot, list(wanted)
        while waiting:
            together = waiting[: slot.max_batch]
            if len(together) == 1 or not self._in_one_batch(slot, together):
                if slot.max_batch < len(together):
                    continue  # in smaller batches, then
                self._one_by_one(slot, together)
            del waiting[: len(together)]

    def _one_by_one(self, slot: Slot, wanted: Sequence[Wanted]) -> None:
        for each in wanted:
            try:
                each.outputs, each.seconds = self._single(slot, each.card, each.inputs)
            except ModelError as error:
                each.error = error

    def _in_one_batch(self, slot: Slot, wanted: Sequence[Wanted]) -> bool:
        """Whether the runs could be done together; where not, they are to be done in smaller batches.

        Unless batches of this model are smaller from now on, it is not known what failed: each by itself.
        """
        card, size = wanted[0].card, len(wanted)
        inputs = {name: np.concatenate([each.inputs[name] for each in wanted]) for name in wanted[0].inputs}
        try:
            outputs, seconds = self._once(slot, card, inputs)
            answers = [{name: values[at : at + 1] for name, values in outputs.items()} for at in range(size)]
            if size not in slot.checked and not self._are_equal(slot, wanted, answers):
                log.warning("%s runs without batches: one of %d gave other bytes", card.name, size)
                slot.max_batch = 1
                return False
        except OutOfMemory as error:
            slot.max_batch = size // 2
            log.warning("%s: batches of at most %d from now on", error, slot.max_batch)
            return False
        except ModelError:
            return False  # which of them it is tells itself when each runs alone
        slot.checked.add(size)
        for each, answer in zip(wanted, answers, strict=True):
            each.outputs, each.seconds = answer, seconds / size
        return True

    def _are_equal(
        self, slot: Slot, wanted: Sequence[Wanted], answers: Sequence[Mapping[str, Array]]
    ) -> bool:
        for each, answer in zip(wanted, answers, strict=True):
            alone, _ = self._once(slot, each.card, each.inputs)
            if any(
                answer[name].shape != values.shape or answer[name].tobytes() != values.tobytes()
                for name, values in alone.items()
            ):
                return False
        return True

    def _single(self, slot: Slot, card: Card, inputs: Mapping[str, Array]) -> tuple[dict[str, Array], float]:
        try:
            return self._once(slot, card, inputs)
        except OutOfMemory as error:
            if slot.provider == CPU:
                raise
            log.warning("%s; it runs on the CPU from now on", error)
        slot.session = self._sessions.load(card, [CPU])
        return self._once(slot, card, inputs)

    def _once(self, slot: Slot, card: Card, inputs: Mapping[str, Array]) -> tuple[dict[str, Array], float]:
        options = onnxruntime.RunOptions()
        options.log_severity_level = 3
        if slot.provider == CPU and slot.shapes != shapes(inputs):
            # Else the arena keeps the largest input ever seen: 242 against 36 MB after mixed sizes. While
            # sizes stay the same it is kept: 50 against 70 ms, for pages need not be asked for anew.
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        slot.shapes = shapes(inputs)
        began = time.perf_counter()
        names = sorted(card.output_names)
        values = self._limited(card, slot.session, names, inputs, options)
        return dict(zip(names, values, strict=True)), time.perf_counter() - began

    def _limited(
        self, card: Card, session: Any, names: Sequence[str], inputs: Mapping[str, Array], options: Any
    ) -> Sequence[Array]:
        expired = threading.Event()

        def stop() -> None:
            expired.set()
            options.terminate = True

        limits = [each for each in (card.runtime.timeout_seconds, self._timeout_s) if each is not None]
        timer = threading.Timer(min(limits), stop) if limits else None
        if timer is not None:
            timer.daemon = True
            timer.start()
        try:
            outputs: Sequence[Array] = session.run(list(names), dict(inputs), options)
        except _FAILURES as error:
            if expired.is_set():
                raise ModelError(f"{card.name} {card.version} took longer than {min(limits):g} s") from error
            kind = OutOfMemory if _says_no_memory(error) else ModelError
            raise kind(f"{card.name} {card.version} failed: {error}") from error
        finally:
            if timer is not None:
                timer.cancel()
        return outputs


def _says_no_memory(error: Exception) -> bool:
    # onnxruntime has no exception of its own for it.
    return isinstance(error, MemoryError) or any(words in str(error) for words in _NO_MEMORY)


def _check_inputs(card: Card, session: Any, inputs: Mapping[str, Array]) -> None:
    expected = {item.name: item for item in session.get_inputs()}
    if inputs.keys() != expected.keys():
        raise ModelError(f"{card.name}: takes {sorted(expected)}, was given {sorted(inputs)}")
    for name, item in expected.items():
        array = inputs[name]
        dtype = _DTYPES.get(item.type)
        if array.dtype != dtype:
            raise ModelError(f"{card.name}: input {name!r} is {array.dtype}, the model takes {item.type}")
        if not _fits(array.shape, item.shape):
            raise ModelError(
                f"{card.name}: input {name!r} has shape {list(array.shape)}, the model takes {item.shape}"
            )


def _fits(shape: Sequence[int], declared: Sequence[int | str | None]) -> bool:
    """A number in the declared shape is fixed, a name or None is free."""
    return len(shape) == len(declared) and all(
        not isinstance(size, int) or size == given for given, size in zip(shape, declared, strict=True)
    )
