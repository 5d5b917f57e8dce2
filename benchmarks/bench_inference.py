"""Work items a second through the whole service against a bare onnxruntime loop over the same arrays.

The service reads, decodes and checks the images, runs the model, writes mask and report, stores them and
changes the work list; the bare loop has the arrays in memory and throws the answers away. Both run in turn in
one process, so that a noisy machine is noisy for both. Only the ratios of one run mean something.
"""

import argparse
import hashlib
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from bench_cstore import make_series
from onnx import TensorProto, helper, numpy_helper
from sqlalchemy import insert, select

from inference.pipeline import Pipeline
from inference.prepare import prepare
from inference.tables import work_items
from inference.triggers import Triggers
from inference.workitems import WorkItem
from isocenter.importing import files_below, import_files
from isocenter.services import Services, open_services
from isocenter.settings import InferenceSettings, Settings
from models.catalog import Catalog
from models.runtime import Runtime
from storage.instances import Origin
from storage.sql.engine import connect, writing

CARD = """
schema = 1
name = "{name}"
version = "1"
title = "{name}"
task = "segmentation"
intended_use = "Benchmarks"
not_for = ["anything else"]
licence = "Apache-2.0"
origin = "made by the benchmark"
[model]
sha256 = "{digest}"
[applies_to]
scope = "series"
modality = ["CT"]
[checks]
geometry = "regular-volume"
orientation = "axial"
[[inputs]]
kind = "image"
name = "image"
layout = "NCDHW"
values = "modality"
[[outputs]]
kind = "label-map"
name = "mask"
[[outputs.segments]]
name = "bright"
values = [1]
label = "Bright"
type = {{ value = "39607008", scheme = "SCT", meaning = "Lung" }}
colour = [80, 160, 240]
[[outputs]]
kind = "measurement"
name = "volume"
[[outputs.groups]]
key = "bright"
finding = {{ value = "39607008", scheme = "SCT", meaning = "Lung" }}
segment = "bright"
[[outputs.groups.values]]
index = [0]
concept = {{ value = "118565006", scheme = "SCT", meaning = "Volume" }}
unit = {{ value = "ml", scheme = "UCUM", meaning = "ml" }}
"""
_CHANNELS = 8
PARTS = ("prepare", "model", "interpret", "results", "store")


@dataclass(frozen=True)
class Round:
    """What one work item took."""

    service: float
    bare: float
    item: WorkItem


def make_package(folder: Path, layers: int) -> None:
    """A model of `layers` 3-D convolutions whose mask is a box, whatever it sees."""
    folder.mkdir(parents=True)
    noise = np.random.default_rng(1)
    nodes, weights, before = [], [], "image"
    for layer in range(layers):
        inner = 1 if layer == 0 else _CHANNELS
        kernel = noise.normal(0, 0.1, (_CHANNELS, inner, 3, 3, 3)).astype(np.float32)
        weights.append(numpy_helper.from_array(kernel, f"w{layer}"))
        nodes.append(helper.make_node("Conv", [before, f"w{layer}"], [f"c{layer}"], pads=[1] * 6))
        nodes.append(helper.make_node("Relu", [f"c{layer}"], [f"r{layer}"]))
        before = f"r{layer}"
    nodes += [
        helper.make_node("ReduceMax", [before, "channel"], ["score"], keepdims=1),
        helper.make_node("GreaterOrEqual", ["score", "zero"], ["bright"]),
        helper.make_node("Cast", ["bright"], ["mask"], to=TensorProto.UINT8),
        helper.make_node("ReduceMax", ["score"], ["most"], keepdims=0),
        helper.make_node("Reshape", ["most", "one"], ["volume"]),
    ]
    weights += [
        numpy_helper.from_array(np.array([1], np.int64), "channel"),
        numpy_helper.from_array(np.array([1], np.int64), "one"),
        numpy_helper.from_array(np.array(0, np.float32), "zero"),
    ]
    shape = [1, 1, "slices", "rows", "columns"]
    graph = helper.make_graph(
        nodes,
        "bench",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info("mask", TensorProto.UINT8, shape),
            helper.make_tensor_value_info("volume", TensorProto.FLOAT, [1]),
        ],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, str(folder / "model.onnx"))
    digest = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    (folder / "card.toml").write_text(CARD.format(name=folder.name, digest=digest))


@contextmanager
def service(folder: Path) -> Iterator[tuple[Services, Catalog]]:
    inference = InferenceSettings(settle_seconds=0, quiet_seconds=0)
    with open_services(Settings(data=folder / "data", inference=inference)) as services:
        yield services, Catalog([folder / "models"])


def load(services: Services, catalog: Catalog, folder: Path, options: argparse.Namespace) -> None:
    """Store the series and schedule the work."""
    for number in range(options.items):
        series = make_series(folder / f"s{number}", options.slices, options.side, f"s{number}", place=True)
        with services.archive.delivery(Origin("import", peer="bench")) as delivery:
            list(import_files(files_below([series]), services.spool, delivery))
    Triggers(services.archive, services.work, catalog, settle=0, quiet=0).poll()


def rounds(services: Services, catalog: Catalog, threads: int) -> Iterator[Round]:
    """Each work item through the service, and the same arrays through a bare session."""
    (card,) = catalog.cards()
    pipeline = Pipeline(
        services.archive, services.spool, services.work, catalog, Runtime(threads=threads, timeout_s=600)
    )
    pipeline.warm_up()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(card.model_path), options, providers=["CPUExecutionProvider"])
    while True:
        began = time.perf_counter()
        item = pipeline.run_next()
        taken = time.perf_counter() - began
        if item is None:
            return
        if not item.results:
            raise SystemExit(f"{item.outcome}: {item.reason}")
        stored = [i for i in services.archive.instances(item.study, item.series) if i.number_of_frames]
        inputs = [run.inputs for run in prepare(card, services.archive, stored)]
        began = time.perf_counter()
        for each in inputs:
            session.run(None, each)
        yield Round(taken, time.perf_counter() - began, item)


def cost_of_looking(services: Services, waiting: int) -> float:
    """Milliseconds of this process to find what is next, with so many more that wait."""
    engine = connect(services.settings.index_url)
    with writing(engine) as connection:
        row = {**connection.execute(select(work_items).limit(1)).mappings().one()}
        row |= {"state": "SCHEDULED", "due_at": datetime.now(UTC)}
        if waiting:
            rows = [row | {"uid": f"2.25.{number}"} for number in range(waiting)]
            connection.execute(insert(work_items), rows)
    engine.dispose()
    times = []
    for _ in range(50):
        began = time.process_time()
        services.work.due(limit=1)
        times.append(time.process_time() - began)
    return 1000 * statistics.median(times)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--items", type=int, default=20)
    arguments.add_argument("--slices", type=int, default=40)
    arguments.add_argument("--side", type=int, default=128, help="pixels of an edge")
    arguments.add_argument("--layers", type=int, default=3, help="of the model")
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--waiting", type=int, default=10_000)
    arguments.add_argument("--quick", action="store_true", help="tiny sizes: does it still run?")
    options = arguments.parse_args()
    if options.quick:
        options.items, options.slices, options.side, options.layers = 2, 4, 32, 1
    with tempfile.TemporaryDirectory(prefix="isocenter-bench-") as name:
        folder = Path(name)
        make_package(folder / "models" / "bench", options.layers)
        with service(folder) as (services, catalog):
            load(services, catalog, folder, options)
            report(services, catalog, options)


def report(services: Services, catalog: Catalog, options: argparse.Namespace) -> None:
    done, memory = [], []
    for each in rounds(services, catalog, options.threads):
        done.append(each)
        memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    whole = statistics.median(each.service for each in done)
    bare = statistics.median(each.bare for each in done)
    print("| a work item, median | ms |")
    print("|---|---|")
    print(f"| bare onnxruntime | {1000 * bare:.0f} |")
    print(f"| whole service | {1000 * whole:.0f} |")
    for part in PARTS:
        print(f"| of which {part} | {1000 * statistics.median(e.item.timings[part] for e in done):.0f} |")
    ratio = statistics.median(each.bare / each.service for each in done)
    print(f"| rate of the service against the bare loop | {ratio:.0%} |")
    half = len(memory) // 2
    print(
        f"| peak memory after {half + 1} and {len(memory)} items, MB | {memory[half]:.0f}, {memory[-1]:.0f} |"
    )
    few, many = (cost_of_looking(services, count) for count in (0, options.waiting))
    print(f"| CPU to find the next item, none and {options.waiting} waiting | {few:.2f}, {many:.2f} |")


if __name__ == "__main__":
    main()
