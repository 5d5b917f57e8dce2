"""What the archive keeps of an instance beside its bytes, read in one pass with hard limits."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage.instances import InstanceKey
from storage.layout import Layout


@dataclass(frozen=True, slots=True)
class Header:
    """One Part 10 file as the index needs it."""

    key: InstanceKey
    sop_class: str
    transfer_syntax: str
    """UID from the file meta information (PS3.10 7.1)."""
    dataset_offset: int
    """First byte of the data set, behind the file meta information."""
    size: int
    """Bytes of the whole file."""
    digest: str
    """SHA-256 (hex) of the data set bytes as they are in the file."""
    json: bytes
    """The data set in the DICOM JSON Model (PS3.18 F.2): one object, UTF-8, without file meta information.

    Big values have a `BulkDataURI` of `bulkdata:<path>`, with `<path>` as in `Layout.bulk`.
    """
    attributes: dict[str, Any]
    """The same as a dictionary."""
    layout: Layout
    warnings: tuple[str, ...]
    """What is wrong in the file, and was read all the same; each names its tag."""
