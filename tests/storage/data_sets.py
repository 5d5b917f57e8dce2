"""Small data sets and their files, down to single elements; a test sets only what it is about."""

from io import BytesIO
from typing import Any

import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian


def instance(**attributes: Any) -> pydicom.Dataset:
    ds = pydicom.Dataset()
    ds.SOPClassUID = CTImageStorage
    ds.SOPInstanceUID, ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3", "1.2.4", "1.2.5"
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def part10(ds: pydicom.Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """The file of `ds`, encoded as pydicom does for `syntax`."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    target = BytesIO()
    ds.save_as(target, enforce_file_format=True)
    return target.getvalue()


def dataset_start(data: bytes) -> int:
    """Where the data set of a file with a right meta group length starts (PS3.10 7.1)."""
    return 144 + int.from_bytes(data[140:144], "little")


def labelled(data: bytes, syntax: str) -> bytes:
    """The file of `part10` with another transfer syntax UID and nothing else changed."""
    start, uid = dataset_start(data), syntax.encode() + b"\0" * (len(syntax) % 2)
    old = b"\x02\x00\x10\x00UI\x14\x001.2.840.10008.1.2.1\0"
    new = b"\x02\x00\x10\x00UI" + len(uid).to_bytes(2, "little") + uid
    meta = data[144:start].replace(old, new)
    return data[:140] + len(meta).to_bytes(4, "little") + meta + data[start:]


def encapsulated(*fragments: bytes, offsets: bytes = b"") -> bytes:
    """A Pixel Data element of fragments behind a Basic Offset Table (PS3.5 A.4), explicit little endian."""
    items = b"".join(
        b"\xfe\xff\x00\xe0" + len(piece).to_bytes(4, "little") + piece for piece in (offsets, *fragments)
    )
    return b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + items + b"\xfe\xff\xdd\xe0" + bytes(4)
