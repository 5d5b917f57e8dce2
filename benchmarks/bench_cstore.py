"""Instances a second and CPU seconds a thousand instances over C-STORE, against Orthanc and DCMTK.

Interleaved: every round sends to every receiver in turn, so that a noisy machine is noisy for all. Only the
ratios of one run mean something. Isocenter and Orthanc index, storescp does not; what
each of them promises after a power failure is in docs/performance.md.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path

import numpy as np
import peers
import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

_SETTLED = 0.3
"""Seconds until what an association left to do is done, and its process is waited for."""


def make_series(folder: Path, count: int, side: int, salt: str, *, place: bool = False) -> Path:
    """A CT series of `count` instances of `side` x `side` pixels of noise; with `place`, a volume."""
    folder.mkdir(parents=True)
    noise = np.random.default_rng(1)
    for number in range(1, count + 1):
        ds = pydicom.Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = CTImageStorage
        uid = generate_uid(entropy_srcs=[salt, "instance", str(number)])
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = uid
        ds.StudyInstanceUID = generate_uid(entropy_srcs=[salt, "study"])
        ds.SeriesInstanceUID = generate_uid(entropy_srcs=[salt, "series"])
        ds.PatientName, ds.PatientID, ds.Modality = "Bench^Mark", salt, "CT"
        ds.StudyDate, ds.StudyTime, ds.AccessionNumber = "20260101", "120000", "1"
        ds.InstanceNumber, ds.Rows, ds.Columns = number, side, side
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
        ds.PixelData = noise.integers(0, 4096, (side, side), dtype=np.uint16).tobytes()
        if place:
            ds.ImageOrientationPatient, ds.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 2.5 * number]
            ds.PixelSpacing, ds.SliceThickness = [0.7, 0.7], 2.5
            ds.RescaleSlope, ds.RescaleIntercept = 1, -1024
        ds.save_as(folder / f"{number:05d}.dcm", enforce_file_format=True)
    return folder


def measure(receiver: peers.Receiver, folders: list[Path], count: int, *, nagle: bool) -> tuple[float, float]:
    """Instances a second, and the receiver's CPU seconds for a thousand."""
    os.sync()  # what the one before left unwritten is not for this one to wait for
    cpu, began = receiver.cpu_seconds(), time.perf_counter()
    peers.send(receiver, folders, nagle=nagle)
    seconds = time.perf_counter() - began
    time.sleep(_SETTLED)
    return count / seconds, 1000 * (receiver.cpu_seconds() - cpu) / count


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--instances", type=int, default=200, help="in each association")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--sides", type=int, nargs="+", default=[512, 16], help="pixels of an edge")
    arguments.add_argument("--associations", type=int, nargs="+", default=[1, 4])
    arguments.add_argument("--processes", type=int, default=2, help="of Isocenter's node")
    arguments.add_argument("--nagle", action="store_true", help="dcmsend as it comes, without TCP_NODELAY=1")
    arguments.add_argument("--quick", action="store_true", help="tiny sizes: does it still run?")
    options = arguments.parse_args()
    if options.quick:
        options.instances, options.rounds = 10, 1
    print("| 16-bit CT over dcmsend | receiver | instances/s | CPU s per 1000 | rate against Orthanc |")
    print("|---|---|---|---|---|")
    for side in options.sides:
        for associations in options.associations:
            compare(side, associations, options)


def compare(side: int, associations: int, options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-") as name, ExitStack() as stack:
        folder = Path(name)
        kinds = _with_processes(options.processes)
        receivers = [stack.enter_context(kind(folder / name)) for name, kind in kinds.items()]
        rates: dict[str, list[float]] = {each.name: [] for each in receivers}
        costs: dict[str, list[float]] = {each.name: [] for each in receivers}
        for turn in range(options.rounds):
            series = [
                make_series(folder / f"{turn}-{number}", options.instances, side, f"{turn} {number} {side}")
                for number in range(associations)
            ]
            for receiver in receivers:
                count = options.instances * associations
                rate, cost = measure(receiver, series, count, nagle=options.nagle)
                rates[receiver.name].append(rate)
                costs[receiver.name].append(cost)
        report(f"{side}², {associations} association{'s' if associations > 1 else ''}", rates, costs)


def _with_processes(number: int) -> dict[str, Callable[[Path], AbstractContextManager[peers.Receiver]]]:
    """The receivers, in the order in which they are asked."""
    settings = {"ISOCENTER_NODE__PROCESSES": str(number)}
    return {
        "isocenter": partial(peers.isocenter, **settings),
        "orthanc": peers.orthanc,
        "isocenter_postgres": partial(peers.isocenter_postgres, **settings),
        "orthanc_postgres": peers.orthanc_postgres,
        "storescp": peers.storescp,
    }


def report(what: str, rates: dict[str, list[float]], costs: dict[str, list[float]]) -> None:
    """One line for each receiver; those on PostgreSQL against Orthanc on PostgreSQL."""
    for name, found in rates.items():
        base = "Orthanc (PostgreSQL)" if "PostgreSQL" in name else "Orthanc (SQLite)"
        ratio = statistics.median(mine / theirs for mine, theirs in zip(found, rates[base], strict=True))
        cost = statistics.median(costs[name])
        print(f"| {what} | {name} | {statistics.median(found):.0f} | {cost:.2f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
