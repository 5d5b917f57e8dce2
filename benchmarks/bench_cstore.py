"""Instances a second and CPU seconds a thousand instances over C-STORE, against Orthanc and DCMTK.

Interleaved: every round sends to every receiver in turn, so that a noisy machine is noisy for all. Only the
ratios of one run mean something. Isocenter and Orthanc are durable and indexed, storescp is neither.
"""

import argparse
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import peers
import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

_SETTLED = 0.3
"""Seconds until what an association left to do is done, and its process is waited for."""


def make_series(folder: Path, count: int, side: int, salt: str) -> Path:
    """A CT series of `count` instances of `side` x `side` pixels of noise."""
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
        ds.save_as(folder / f"{number:05d}.dcm", enforce_file_format=True)
    return folder


def measure(receiver: peers.Receiver, folders: list[Path], count: int) -> tuple[float, float]:
    """Instances a second, and the receiver's CPU seconds for a thousand."""
    cpu, began = receiver.cpu_seconds(), time.perf_counter()
    peers.send(receiver, folders)
    seconds = time.perf_counter() - began
    time.sleep(_SETTLED)
    return count / seconds, 1000 * (receiver.cpu_seconds() - cpu) / count


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--instances", type=int, default=200, help="in each association")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--quick", action="store_true", help="tiny sizes: does it still run?")
    options = arguments.parse_args()
    instances, rounds = (10, 1) if options.quick else (options.instances, options.rounds)
    print("| 16-bit CT over dcmsend | receiver | instances/s | CPU s per 1000 | rate against Orthanc |")
    print("|---|---|---|---|---|")
    for side in (512, 16):
        for associations in (1, 4):
            compare(side, associations, instances, rounds)


def compare(side: int, associations: int, instances: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-") as name, ExitStack() as stack:
        folder = Path(name)
        kinds = (peers.isocenter, peers.orthanc, peers.storescp)
        receivers = [stack.enter_context(kind(folder / kind.__name__)) for kind in kinds]
        rates: dict[str, list[float]] = {each.name: [] for each in receivers}
        costs: dict[str, list[float]] = {each.name: [] for each in receivers}
        for turn in range(rounds):
            series = [
                make_series(folder / f"{turn}-{number}", instances, side, f"{turn} {number} {side}")
                for number in range(associations)
            ]
            for receiver in receivers:
                rate, cost = measure(receiver, series, instances * associations)
                rates[receiver.name].append(rate)
                costs[receiver.name].append(cost)
        base = statistics.median(rates["Orthanc (SQLite)"])
        for each in receivers:
            rate, cost = statistics.median(rates[each.name]), statistics.median(costs[each.name])
            what = f"{side}², {associations} association{'s' if associations > 1 else ''}"
            print(f"| {what} | {each.name} | {rate:.0f} | {cost:.2f} | {rate / base:.2f} |", flush=True)


if __name__ == "__main__":
    main()
