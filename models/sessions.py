"""Loaded models: which provider they run on, which stay loaded, and what was learnt of each."""

import logging
import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from models.card import Card
from models.errors import ModelError
from models.onnx_file import check_model

log = logging.getLogger(__name__)

CPU = "CPUExecutionProvider"
PREFERRED = ("CUDAExecutionProvider", CPU)
"""Used as far as this machine has them; others (TensorRT builds engines for minutes) only when named."""

_OPTIONS: Mapping[str, Mapping[str, str]] = {
    # TF32 would round every multiplication to 10 bits: results are to be those of the CPU.
    "CUDAExecutionProvider": {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"},
}

ORT_ERRORS: tuple[type[Exception], ...] = tuple(
    item for item in vars(ort_errors).values() if isinstance(item, type) and issubclass(item, Exception)
)
"""What onnxruntime raises: its exceptions have no common base."""

_Key = tuple[str, str, int]
"""SHA-256 and path of the ONNX file, threads."""


class Slot:
    """A place for one session; its lock lets several threads wait for one load."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.session: Any = None
        self.shapes: tuple[tuple[int, ...], ...] = ()
        """Of the inputs of the last run."""
        self.max_batch = 1
        self.checked = {1}
        """Batches of these sizes were seen to give what single runs give."""

    @property
    def provider(self) -> str:
        """What the session runs on."""
        return str(self.session.get_providers()[0])


class Sessions:
    """Sessions by model; safe to share between threads.

    Args:
        threads: of one run; 0 lets onnxruntime take every core.
        max_sessions: so many stay loaded; the one not used for longest goes first.
        max_memory: bytes; a process that holds more keeps no session but those used last.
        providers: execution providers in order of preference, each of which must exist on this machine; by
            default CUDA where it exists, else the CPU.
    """

    def __init__(
        self, threads: int, max_sessions: int, max_memory: int | None, providers: Sequence[str] | None
    ) -> None:
        self._threads = threads
        self._max_sessions = max_sessions
        self._max_memory = max_memory
        self._providers = _chosen(providers)
        if "CUDAExecutionProvider" in self._providers:
            # Where CUDA came as packages, no search path leads to it. What is missing is printed.
            with redirect_stdout(sys.stderr):
                onnxruntime.preload_dlls(msvc=False)
        self._lock = threading.Lock()
        self._slots: OrderedDict[_Key, Slot] = OrderedDict()

    def __len__(self) -> int:
        with self._lock:
            return len(self._slots)

    def of(self, card: Card) -> Slot:
        """The slot with the session of a model, loaded when it was not. Raises `ModelError`."""
        key = (card.model.sha256, str(card.model_path), card.runtime.threads)
        with self._lock:
            slot = self._slots.setdefault(key, Slot())
            self._slots.move_to_end(key)
        with slot.lock:
            if slot.session is None:
                self._make_room()
                slot.session = self._load_or_forget(card, key)
                slot.max_batch = card.runtime.max_batch
        with self._lock:
            while len(self._slots) > self._max_sessions:
                self._slots.popitem(last=False)  # runs under way keep their session alive until they end
        return slot

    def load(self, card: Card, providers: Sequence[str]) -> Any:
        """A new session on the first of `providers` that starts. Raises `ModelError`."""
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = card.runtime.threads or self._threads
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        # Spinning burns up to half as much CPU again and is no faster on these models.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        with_options = [(name, dict(_OPTIONS.get(name, {}))) for name in providers]
        try:
            session = onnxruntime.InferenceSession(str(card.model_path), options, providers=with_options)
        except ORT_ERRORS as error:
            raise ModelError(f"{card.model_path}: cannot be loaded: {error}") from error
        session.disable_fallback()
        used = session.get_providers()[0]
        if used != providers[0]:
            log.warning("%s runs on %s: %s did not start", card.name, used, providers[0])
        return session

    def _make_room(self) -> None:
        """Let go of sessions, the one not used for longest first, until the process holds little enough."""
        with self._lock:
            while self._max_memory and len(self._slots) > 1 and held_memory() > self._max_memory:
                self._slots.popitem(last=False)

    def _load_or_forget(self, card: Card, key: _Key) -> Any:
        try:
            check_model(card)
            return self.load(card, self._providers)
        except ModelError:
            with self._lock:
                self._slots.pop(key, None)
            raise


def held_memory() -> int:
    """Bytes that this process has in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


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
