"""Work items a second through the whole service against a bare onnxruntime loop over the same arrays.

The service reads, decodes and checks the images, runs the model, writes mask and report, stores them and
changes the work list; the bare loop has the arrays in memory and throws the answers away. Both run in turn in
one process, one series after the other, and then in rounds of several series, with as many threads as a
worker has or in several workers, so that a noisy machine is noisy for both. Only the ratios of one run mean
something.
"""

import argparse
import gc
import hashlib
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from bench_cstore import make_series
from onnx import TensorProto, helper, numpy_helper
from sqlalchemy import insert, select

from inference.inputs import InputImages
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
from models.sessions import held_memory
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
PER_ROUND = 10
PARTS = ("prepare", "model", "interpret", "results", "store")


@dataclass(frozen=True)
class Round:
    """What some work items took, seconds."""

    service: float
    bare: float
    items: list[WorkItem]


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
    kinds = len(options.at_once) + len(options.workers)
    for number in range(options.items + options.rounds * PER_ROUND * kinds):
        series = make_series(folder / f"s{number}", options.slices, options.side, f"s{number}", place=True)
        with services.archive.delivery(Origin("import", peer="bench")) as delivery:
            list(import_files(files_below([series]), services.spool, delivery))
    triggers = Triggers(services.archive, services.work, catalog, settle=0, quiet=0)
    while triggers.poll():
        pass


class Worker:
    """What `isocenter worker` has, in a process of its own."""

    pipeline: Pipeline
    _opened = ExitStack()

    @classmethod
    def start(cls, folder: Path, threads: int) -> None:
        services, catalog = cls._opened.enter_context(service(folder))
        cls.pipeline = pipeline_for(services, catalog, threads)

    @classmethod
    def run(cls, _: int) -> list[str]:
        return [item.uid for item in cls.pipeline.run_next()]


def pipeline_for(services: Services, catalog: Catalog, threads: int) -> Pipeline:
    runtime = Runtime(threads=threads, timeout_s=600)
    pipeline = Pipeline(services.archive, services.spool, services.work, catalog, runtime)
    pipeline.warm_up()
    gc.freeze()  # as a worker does
    return pipeline


class Bench:
    """The service and the bare session, in one process."""

    def __init__(self, services: Services, catalog: Catalog, threads: int) -> None:
        self.services = services
        (self.card,) = catalog.cards()
        self.pipeline = pipeline_for(services, catalog, threads)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        path = str(self.card.model_path)
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def round(self, count: int, at_once: int) -> Round:
        """So many work items through the service in threads, and the same arrays through the bare session.

        No more of them may wait than that when items go together.
        """
        with ThreadPoolExecutor(at_once) as pool:
            return self.measured(count, pool, lambda _: [item.uid for item in self.pipeline.run_next()])

    def measured(self, count: int, pool: Executor, run: Callable[[int], list[str]]) -> Round:
        """As `round`, where `run` carries out what is next and gives its UIDs."""
        began = time.perf_counter()
        taken = list(pool.map(run, range(count)))
        service = time.perf_counter() - began
        done = [self.services.work.get(uid) for uids in taken for uid in uids]
        if len(done) != count:
            raise SystemExit(f"{len(done)} work items, {count} wanted")
        for item in done:
            if not item.results:
                raise SystemExit(f"{item.outcome}: {item.reason}")
        return Round(service, sum(self.bare(item) for item in done), done)

    def bare(self, item: WorkItem) -> float:
        """Seconds of the session alone over the images of a work item."""
        stored = self.services.archive.instances(item.study, item.series)
        images = [InputImages(tuple(each for each in stored if each.number_of_frames))]
        inputs = [run.inputs for run in prepare(self.card, self.services.archive, images)]
        began = time.perf_counter()
        for each in inputs:
            self.session.run(None, each)
        return time.perf_counter() - began


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
    arguments.add_argument(
        "--rounds", type=int, default=2, help=f"of {PER_ROUND} work items, several at once"
    )
    arguments.add_argument("--at-once", type=int, nargs="+", default=[1, 3])
    arguments.add_argument("--workers", type=int, nargs="*", default=[2], help="processes, one item each")
    arguments.add_argument("--slices", type=int, default=40)
    arguments.add_argument("--side", type=int, default=128, help="pixels of an edge")
    arguments.add_argument("--layers", type=int, default=3, help="of the model")
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--waiting", type=int, default=10_000)
    arguments.add_argument("--quick", action="store_true", help="tiny sizes: does it still run?")
    options = arguments.parse_args()
    if options.quick:
        options.items, options.rounds, options.slices, options.side, options.layers = 2, 1, 4, 32, 1
    with tempfile.TemporaryDirectory(prefix="isocenter-bench-") as name:
        folder = Path(name)
        make_package(folder / "models" / "bench", options.layers)
        with service(folder) as (services, catalog):
            load(services, catalog, folder, options)
            report(services, catalog, folder, options)


def report(services: Services, catalog: Catalog, folder: Path, options: argparse.Namespace) -> None:
    bench, memory = Bench(services, catalog, options.threads), []
    single = []
    for _ in range(options.items):
        single.append(bench.round(1, 1))
        memory.append(held_memory() >> 20)
    print("| a work item, median | ms |")
    print("|---|---|")
    print(f"| bare onnxruntime | {1000 * statistics.median(each.bare for each in single):.1f} |")
    print(f"| whole service | {1000 * statistics.median(each.service for each in single):.1f} |")
    for part in PARTS:
        took = statistics.median(each.items[0].timings[part] for each in single)
        print(f"| of which {part} | {1000 * took:.1f} |")
    print(f"| rate of the service against the bare loop, one by one | {ratio(single):.0%} |")
    together = {at_once: list[Round]() for at_once in options.at_once}
    for _ in range(options.rounds):
        for at_once, rounds in together.items():
            rounds.append(bench.round(PER_ROUND, at_once))
            memory.append(held_memory() >> 20)
    for at_once, rounds in together.items():
        took = statistics.median(each.service / len(each.items) for each in rounds)
        print(f"| whole service, {at_once} at once, for each | {1000 * took:.1f} |")
        print(f"| rate of the service against the bare loop, {at_once} at once | {ratio(rounds):.0%} |")
    for workers in options.workers:
        rounds = in_workers(bench, workers, folder, options)
        took = statistics.median(each.service / len(each.items) for each in rounds)
        print(f"| whole service, {workers} workers, for each | {1000 * took:.1f} |")
        print(f"| rate of the service against the bare loop, {workers} workers | {ratio(rounds):.0%} |")
    half = len(memory) // 2
    print(f"| memory held half-way and at the end, MB | {memory[half]}, {memory[-1]} |")
    few, many = (cost_of_looking(services, count) for count in (0, options.waiting))
    print(f"| CPU to find the next item, none and {options.waiting} waiting | {few:.2f}, {many:.2f} |")


def in_workers(bench: Bench, workers: int, folder: Path, options: argparse.Namespace) -> list[Round]:
    """Rounds of several processes, each with one item at a time."""
    spawn = multiprocessing.get_context("spawn")
    begin = (folder, options.threads)
    with ProcessPoolExecutor(workers, spawn, Worker.start, begin) as pool:
        list(pool.map(time.sleep, [1] * workers))  # all of them are started
        return [bench.measured(PER_ROUND, pool, Worker.run) for _ in range(options.rounds)]


def ratio(rounds: list[Round]) -> float:
    return statistics.median(each.bare / each.service for each in rounds)


if __name__ == "__main__":
    main()
