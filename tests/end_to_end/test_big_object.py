"""Memory does not grow with the object (design promise 7): 4 GB in, 2 GB out to many. Run by `make soak`."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import httpx
import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    generate_uid,
)

from dicom_node.send import send
from tests.support.system import served

FRAMES, SIDE = 2000, 1024
GROWTH_MB = 150
READERS, READERS_MB = 16, 300


def write_big(path: Path, frames: int) -> pydicom.Dataset:
    """Frames of 2 MiB, each filled with its own number; written without holding them."""
    ds = pydicom.Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = MultiFrameGrayscaleWordSecondaryCaptureImageStorage
    ds.SOPInstanceUID, ds.StudyInstanceUID, ds.SeriesInstanceUID = (generate_uid() for _ in range(3))
    ds.Modality, ds.PatientID, ds.NumberOfFrames = "OT", "BIG", frames
    ds.Rows = ds.Columns = SIDE
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit, ds.PixelRepresentation = 15, 0
    ds.save_as(path, enforce_file_format=True)
    length = frames * SIDE * SIDE * 2
    with path.open("ab") as file:
        file.write(b"\xe0\x7f\x10\x00OW\0\0" + length.to_bytes(4, "little"))
        for number in range(1, frames + 1):
            file.write(np.full(SIDE * SIDE, number, "<u2").tobytes())
    return ds


def private_mb(pid: int) -> float:
    """Memory of the process itself: the pages of a mapped file belong to the page cache."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


@contextmanager
def growth_watched(parts: dict[str, int]) -> Iterator[dict[str, float]]:
    """The most each part grew by while this is entered, in MB."""
    idle = {name: private_mb(pid) for name, pid in parts.items()}
    grown = dict.fromkeys(parts, 0.0)
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.05):
            for name, pid in parts.items():
                grown[name] = max(grown[name], private_mb(pid) - idle[name])

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield grown
    finally:
        ended.set()
        thread.join()


@pytest.mark.soak
def test_four_gigabytes_go_through_within_a_fixed_buffer(tmp_path: Path):
    ds = write_big(tmp_path / "big.dcm", FRAMES)
    with served(tmp_path, ISOCENTER_INFERENCE__ENABLED="false") as (system, process):
        with growth_watched(process.children()) as grown:
            (result,) = send(
                [tmp_path / "big.dcm"], system.host, system.port, "ISOCENTER", "TEST", timeout=600
            )
            assert result.stored, result.reason
            uids = ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID
            for number in (1, 1000, FRAMES):
                (frame,) = system.web.retrieve_instance_frames(*uids, frame_numbers=[number])
                assert np.unique(np.frombuffer(frame, "<u2")).tolist() == [number]
        assert max(grown.values()) < GROWTH_MB, grown


def read(url: str, frames: range) -> None:
    """These frames, then the start of the whole object."""
    with httpx.Client(timeout=300) as client:
        for number in frames:
            frame = client.get(f"{url}/frames/{number}", headers={"Accept": "application/octet-stream"})
            assert frame.content == np.full(SIDE * SIDE, number, "<u2").tobytes()
        with client.stream("GET", url, headers={"Accept": "application/dicom"}) as whole:
            assert sum(map(len, islice(whole.iter_raw(1 << 20), 256))) == 256 << 20


@pytest.mark.soak
def test_many_read_two_gigabytes_at_once(tmp_path: Path):
    ds = write_big(tmp_path / "big.dcm", 1000)
    with served(tmp_path, ISOCENTER_INFERENCE__ENABLED="false") as (system, process):
        (result,) = send([tmp_path / "big.dcm"], system.host, system.port, "ISOCENTER", "TEST", timeout=600)
        assert result.stored, result.reason
        url = (
            f"{system.http}/dicom-web/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}"
            f"/instances/{ds.SOPInstanceUID}"
        )
        with growth_watched(process.children()) as grown, ThreadPoolExecutor(READERS) as readers:
            list(readers.map(lambda reader: read(url, range(reader + 1, 1001, 10)), range(READERS)))
        assert max(grown.values()) < READERS_MB, grown
