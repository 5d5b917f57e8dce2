"""Real archives that hold files of the test data, or small CT series valid by default."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from storage.archive import Archive
from storage.instances import Origin, StoredInstance
from storage.memory import MemoryBlobs
from storage.spool import Spool
from storage.sql.engine import connect
from storage.sql.index import SqlIndex
from storage.sql.tables import metadata

STUDY, SERIES = "2.25.300", "2.25.301"


@contextmanager
def archive_in(folder: Path) -> Iterator[Archive]:
    """An empty archive: blobs in memory, index in `folder`."""
    engine = connect(f"sqlite:///{folder / 'index.sqlite'}")
    metadata.create_all(engine)
    yield Archive(MemoryBlobs(), SqlIndex(engine))
    engine.dispose()


def stored(archive: Archive, folder: Path, files: Iterable[bytes]) -> list[StoredInstance]:
    """Store Part 10 files of one series; the series as the archive then gives it."""
    with Spool(folder / "spool") as spool, archive.delivery(Origin("import")) as delivery:
        for data in files:
            file = spool.new()
            file.write(data)
            key = delivery.ingest(file).instance.key
    return archive.instances(key.study, key.series)


def part10(ds: Dataset) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta = meta
    buffer = BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


def ct_slice(number: int, hu: Any = None, **changes: Any) -> Dataset:
    """An axial CT slice, 2.5 mm above the one before; `hu` is [rows, columns]."""
    pixels = np.full((6, 4), 10 * number, np.int16) if hu is None else np.asarray(hu, np.int16)
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, f"2.25.400.{number}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = STUDY, SERIES
    ds.PatientID, ds.PatientName, ds.Modality, ds.InstanceNumber = "P1", "Test^Volume", "CT", number
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, 2.5 * number], [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing, ds.SliceThickness = [0.8, 0.5], 2.5
    ds.RescaleSlope, ds.RescaleIntercept = 1, -1024
    ds.Rows, ds.Columns = pixels.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    for keyword, value in changes.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    ds.PixelData = (pixels + 1024).astype("<i2").tobytes()
    return ds


def series(slices: Sequence[Dataset]) -> list[bytes]:
    return [part10(ds) for ds in slices]
