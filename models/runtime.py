"""Runs models: sessions stay loaded, the provider is chosen and told, nothing runs without limits."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from models.card import Card
from models.errors import ModelError
from models.onnx_file import check_model

log = logging.getLogger(__name__)

Array = npt.NDArray[Any]

PREFERRED = ("CUDAExecutionProvider", "CPUExecutionProvider")
"""Used as far as this machine has them; others (TensorRT builds engines for minutes) only when named."""

_OPTIONS: Mapping[str, Mapping[str, str]] = {
    # TF32 would round every multiplication to 10 bits: results are to be those of the CPU.
    "CUDAExecutionProvider": {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"},
}

# onnxruntime's exceptions have no common base.
_ORT_ERRORS = tuple(
    item for item in vars(ort_errors).values() if isinstance(item, type) and issubclass(item, Exception)
)

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


_Key = tuple[str, str, int]
"""SHA-256 and path of the ONNX file, threads."""


class _Slot:
    """A place for one session; its lock lets several threads wait for one load."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.session: Any = None
        self.shapes: tuple[tuple[int, ...], ...] = ()
        """Of the inputs of the last run."""


class Runtime:
    """Keeps the sessions of the models used last and runs them; safe to share between threads.

    Args:
        threads: Threads of one run; 0 lets onnxruntime take every core.
        max_sessions: Loaded models kept; the one not used for longest goes first.
        providers: Execution providers in order of preference, each of which must exist on this machine; by
            default CUDA where it exists, else the CPU.
        timeout_s: A run that takes longer is stopped, None for no limit.
    """

    def __init__(
        self,
        *,
        threads: int = 0,
        max_sessions: int = 8,
        providers: Sequence[str] | None = None,
        timeout_s: float | None = None,
    ) -> None:
        self._threads = threads
        self._max_sessions = max_sessions
        self._providers = _chosen(providers)
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._slots: OrderedDict[_Key, _Slot] = OrderedDict()

    def run(self, card: Card, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs that the card names, for `inputs` by name.

        Raises:
            ModelError: the file is not the pinned one or does not load, an input is missing or of the wrong
                type or shape, the model failed, or it took longer than `timeout_s`.
        """
        slot = self._slot(card)
        session = slot.session
        _check_inputs(card, session, inputs)
        options = onnxruntime.RunOptions()
        options.log_severity_level = 3
        shapes = tuple(inputs[name].shape for name in sorted(inputs))
        if session.get_providers()[0] == "CPUExecutionProvider" and shapes != slot.shapes:
            # Else the arena keeps the largest input ever seen: 242 against 36 MB after mixed sizes. While
            # sizes stay the same it is kept: 50 against 70 ms, for pages need not be asked for anew.
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        slot.shapes = shapes
        names = sorted(card.output_names)
        return dict(zip(names, self._run(card, session, names, inputs, options), strict=True))

    def load(self, card: Card) -> None:
        """Make the session now, so that the first run does not wait for it. Raises as `run`."""
        self._slot(card)

    def describe(self, card: Card) -> dict[str, str]:
        """What runs this model and belongs to the identity of its results. Raises as `run`."""
        return {
            "runtime": f"onnxruntime {onnxruntime.__version__}",
            "provider": self._slot(card).session.get_providers()[0],
            "optimisation": "all",
        }

    def loaded(self) -> int:
        """How many sessions are kept."""
        with self._lock:
            return len(self._slots)

    def _slot(self, card: Card) -> _Slot:
        key = (card.model.sha256, str(card.model_path), card.runtime.threads)
        with self._lock:
            slot = self._slots.setdefault(key, _Slot())
            self._slots.move_to_end(key)
        with slot.lock:
            if slot.session is None:
                slot.session = self._load_or_forget(card, key)
        with self._lock:
            while len(self._slots) > self._max_sessions:
                self._slots.popitem(last=False)  # runs under way keep their session alive until they end
        return slot

    def _load_or_forget(self, card: Card, key: _Key) -> Any:
        try:
            check_model(card)
            return self._load(card)
        except ModelError:
            with self._lock:
                self._slots.pop(key, None)
            raise

    def _load(self, card: Card) -> Any:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = card.runtime.threads or self._threads
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        # Spinning burns up to half as much CPU again and is no faster on these models.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        providers = [(name, dict(_OPTIONS.get(name, {}))) for name in self._providers]
        try:
            session = onnxruntime.InferenceSession(str(card.model_path), options, providers=providers)
        except _ORT_ERRORS as error:
            raise ModelError(f"{card.model_path}: cannot be loaded: {error}") from error
        session.disable_fallback()
        used = session.get_providers()[0]
        if used != self._providers[0]:
            log.warning("%s runs on %s: %s did not start", card.name, used, self._providers[0])
        return session

    def _run(
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
        except _ORT_ERRORS as error:
            reason = f"took longer than {min(limits):g} s" if expired.is_set() else f"failed: {error}"
            raise ModelError(f"{card.name} {card.version} {reason}") from error
        finally:
            if timer is not None:
                timer.cancel()
        return outputs


def has_graphics_card() -> bool:
    """Whether models can run on a graphics card of this machine."""
    return "CUDAExecutionProvider" in onnxruntime.get_available_providers() and any(
        Path("/dev").glob("nvidia[0-9]*")
    )


def _chosen(providers: Sequence[str] | None) -> tuple[str, ...]:
    available = onnxruntime.get_available_providers()
    if providers is None:
        return tuple(name for name in PREFERRED if name in available)
    missing = [name for name in providers if name not in available]
    if missing or not providers:
        raise ModelError(
            f"execution providers not on this machine: {', '.join(missing)}; there are {', '.join(available)}"
        )
    return tuple(providers)


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
