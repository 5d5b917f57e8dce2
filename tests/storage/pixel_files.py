"""Plain files as a source of frames, so that decoding is tested without an archive."""

import subprocess
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset

from storage.header import Header, read_header
from storage.instances import StoredInstance
from storage.layout import Layout

EXPLICIT = "1.2.840.10008.1.2.1"


class Files:
    """Answers what `FrameSource` asks from Part 10 files."""

    def __init__(self) -> None:
        self._read: dict[str, tuple[Path, Header]] = {}

    def add(self, path: Path) -> StoredInstance:
        header = read_header(path)
        self._read[str(path)] = (path, header)
        return StoredInstance(
            key=header.key,
            sop_class=header.sop_class,
            transfer_syntax=header.transfer_syntax,
            size=header.size,
            digest=header.digest,
            blob=str(path),
            number_of_frames=header.layout.number_of_frames,
        )

    def headers(self, instances: Iterable[StoredInstance]) -> Iterator[bytes]:
        return (self._read[each.blob][1].json for each in instances)

    def layout(self, instance: StoredInstance) -> Layout:
        return self._read[instance.blob][1].layout

    def frame(self, instance: StoredInstance, number: int) -> bytes:
        return b"".join(self.read_value(instance, *piece) for piece in self.layout(instance).frame(number))

    def read_value(self, instance: StoredInstance, offset: int, length: int) -> bytes:
        path, header = self._read[instance.blob]
        data = path.read_bytes()
        if header.layout.deflated:
            data = zlib.decompressobj(-15).decompress(data[header.dataset_offset :])
        return data[offset : offset + length]


def image(samples: np.ndarray, **attributes: object) -> Dataset:
    """A valid native image of one frame; `attributes` replace or add elements."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "2.25.3"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "2.25.1", "2.25.2"
    ds.Rows, ds.Columns = samples.shape[:2]
    ds.SamplesPerPixel = samples.shape[2] if samples.ndim == 3 else 1
    ds.PhotometricInterpretation = "RGB" if samples.ndim == 3 else "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = samples.dtype.itemsize * 8
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(samples.dtype.kind == "i")
    if samples.ndim == 3:
        ds.PlanarConfiguration = 0
    ds.PixelData = samples.tobytes() + b"\0" * (samples.nbytes % 2)
    ds["PixelData"].VR = "OW"
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def written(ds: Dataset, path: Path, transfer_syntax: str = EXPLICIT) -> Path:
    """The data set as a DICOM file."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = transfer_syntax
    ds.save_as(path, enforce_file_format=True)
    return path


def dcmtk_picture(path: Path, *options: str) -> np.ndarray | None:
    """The first frame as DCMTK renders it, (rows, columns[, 3]); None where DCMTK cannot."""
    for tool in ("dcmj2pnm", "dcml2pnm"):
        known = [each for each in options if each != "+cg" or tool == "dcmj2pnm"]
        command = [tool, "+f", "+F", "1", "--write-raw-pnm", *known, str(path)]
        run = subprocess.run(command, capture_output=True, check=False)
        if run.returncode == 0 and run.stdout and b"E:" not in run.stderr:
            return _pnm(run.stdout)
    return None


def _pnm(data: bytes) -> np.ndarray:
    kind, size, _, samples = data.split(b"\n", 3) if data[3:4] != b"#" else _without_comment(data)
    columns, rows = map(int, size.split())
    return np.frombuffer(samples, np.uint8).reshape((rows, columns, 3) if kind == b"P6" else (rows, columns))


def _without_comment(data: bytes) -> list[bytes]:
    kind, _, rest = data.split(b"\n", 2)
    return [kind, *rest.split(b"\n", 2)]
