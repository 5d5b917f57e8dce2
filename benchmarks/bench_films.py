"""Chest films a second through the whole service against a bare onnxruntime loop over the same arrays.

As `bench_inference.py`, for a model of some milliseconds whose card allows batches: what waits goes together.
Each film is a study of its own: films of noise are read, decoded, windowed and resized by the service, and
each gets its report; the bare loop has the model's inputs in memory and runs them one by one.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import numpy as np
import pydicom
from bench_inference import PARTS, Bench, Round, ratio, service
from pydicom.dataset import FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from inference.triggers import Triggers
from isocenter.importing import files_below, import_files
from isocenter.services import Services
from models.catalog import Catalog
from storage.instances import Origin

CARD = Path(__file__).parents[1] / "tests" / "cards" / "cxr-mobilenetv3-int8" / "card.toml"


def make_package(folder: Path, model: Path) -> None:
    """The card of the tests beside the model that it pins."""
    folder.mkdir(parents=True)
    (folder / "card.toml").write_bytes(CARD.read_bytes())
    (folder / "model.onnx").write_bytes(model.read_bytes())


def make_films(folder: Path, count: int, side: int) -> Path:
    """Films of `side` x `side` pixels of 8-bit noise, as small DX come, each a study."""
    folder.mkdir(parents=True)
    noise = np.random.default_rng(1)
    for number in range(1, count + 1):
        ds = pydicom.Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
        uid = generate_uid(entropy_srcs=[str(folder), "instance", str(number)])
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = uid
        ds.StudyInstanceUID = generate_uid(entropy_srcs=[str(folder), "study", str(number)])
        ds.SeriesInstanceUID = generate_uid(entropy_srcs=[str(folder), "series", str(number)])
        ds.PatientName, ds.PatientID, ds.Modality = "Bench^Mark", str(number), "DX"
        ds.StudyDate, ds.StudyTime, ds.BodyPartExamined = "20260101", "120000", "CHEST"
        ds.InstanceNumber, ds.Rows, ds.Columns = 1, side, side
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
        ds.PixelData = noise.integers(0, 256, (side, side), dtype=np.uint8).tobytes()
        ds.save_as(folder / f"{number:05d}.dcm", enforce_file_format=True)
    return folder


def store(services: Services, folder: Path, count: int, side: int) -> None:
    """Store so many films, each a work item."""
    series = make_films(folder / "films", count, side)
    with services.archive.delivery(Origin("import", peer="bench")) as delivery:
        list(import_files(files_below([series]), services.spool, delivery))


def report(at_once: int, rounds: list[Round]) -> None:
    items = [item for each in rounds for item in each.items]
    bare, whole = (sum(getattr(each, side) for each in rounds) for side in ("bare", "service"))
    print(f"| {at_once} at once: bare onnxruntime, ms a film | {1000 * bare / len(items):.2f} |")
    print(f"| whole service, ms a film | {1000 * whole / len(items):.2f} |")
    for part in PARTS:
        took = statistics.mean(item.timings[part] for item in items)
        print(f"| of which {part} | {1000 * took:.2f} |")
    print(f"| rate of the service against the bare loop | {ratio(rounds):.0%} |")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--model", type=Path, help=f"the model.onnx that the card in {CARD.parent} pins")
    arguments.add_argument("--items", type=int, default=24, help="films in each round")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--at-once", type=int, nargs="+", default=[1, 3])
    arguments.add_argument("--side", type=int, default=1024, help="pixels of an edge")
    arguments.add_argument("--threads", type=int, default=1)
    options = arguments.parse_args()
    if options.model is None:
        print("not measured: --model is not given")
        return
    with tempfile.TemporaryDirectory(prefix="isocenter-bench-") as name:
        folder = Path(name)
        make_package(folder / "models" / "films", options.model)
        with service(folder) as (services, catalog):
            measure(services, catalog, folder, options)


def measure(services: Services, catalog: Catalog, folder: Path, options: argparse.Namespace) -> None:
    ways = {at_once: list[Round]() for at_once in options.at_once}
    bench = Bench(services, catalog, options.threads)
    triggers = Triggers(services.archive, services.work, catalog, settle=0, quiet=0)
    for number in range(options.rounds + 1):
        for at_once, rounds in ways.items():
            store(services, folder / f"{number}-{at_once}", options.items, options.side)
            while triggers.poll():
                pass
            done = bench.round(options.items, at_once)
            if number:  # the first warms up: batches are compared with single runs
                rounds.append(done)
    print("| | |\n|---|---|")
    for at_once, rounds in ways.items():
        report(at_once, rounds)


if __name__ == "__main__":
    main()
