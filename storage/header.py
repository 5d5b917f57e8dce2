"""What the archive keeps of an instance beside its bytes, read in one pass with hard limits."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from json import JSONEncoder
from pathlib import Path
from typing import Any, BinaryIO

from storage.encoding import Buffer, encoding_of
from storage.errors import InvalidInstance
from storage.frames import FrameFinder
from storage.instances import InstanceKey, StoredInstance, checked_uid
from storage.layout import Layout
from storage.part10 import FileMeta, digest_of, inflated, opened, read_meta
from storage.transfer_syntax import known, transfer_syntax
from storage.walker import Walker

_ENCODER = JSONEncoder(ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectHeader:
    """One Part 10 file as the index needs it, of a patient's study or of none."""

    sop: str
    """SOP Instance UID."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Header(ObjectHeader):
    """One Part 10 file of a study."""

    key: InstanceKey

    def stored_as(self, blob: str, version: int, stored_at: datetime) -> StoredInstance:
        """The instance that this header is of, once its bytes are the blob `blob`."""
        return StoredInstance(
            key=self.key,
            sop_class=self.sop_class,
            transfer_syntax=self.transfer_syntax,
            size=self.size,
            digest=self.digest,
            blob=blob,
            version=version,
            stored_at=stored_at,
            number_of_frames=self.layout.number_of_frames,
        )


def read_header(path: Path, digest: str = "", data: bytes = b"") -> Header:
    """Everything the archive needs to know of a Part 10 file (PS3.10 7) of a study, in bounded memory.

    Arguments and errors are those of `read_object`; it must have the UIDs of its study and series too.
    """
    return Header(**_read(path, digest, data, lambda attributes: {"key": _key(attributes)}))


def read_object(path: Path, digest: str = "", data: bytes = b"") -> ObjectHeader:
    """The same of a file that need not be of a study.

    Args:
        path: a file that nobody shortens meanwhile; a big deflated one needs room beside it.
        digest: SHA-256 (hex) of its data set, when that is known already.
        data: all its bytes, when they are at hand.

    Raises:
        InvalidInstance: it is not a DICOM file, lacks one of the UIDs that identify it, is cut short or not
            encoded as it says, or exceeds a limit; the message names the tag.
    """
    return ObjectHeader(**_read(path, digest, data, lambda _: {}))


def _read(
    path: Path, digest: str, data: bytes, more: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    """The fields of an `ObjectHeader`, and what `more` makes of the data set."""
    with opened(path, data) as (file, whole):
        meta = read_meta(whole)
        with _data_set(file, whole, meta, path.parent) as (buffer, start):
            attributes, layout, warnings = _walked(buffer, start, meta)
        return more(attributes) | {
            "sop": _uid(attributes, "00080018", "SOPInstanceUID"),
            "sop_class": _uid(attributes, "00080016", "SOPClassUID"),
            "transfer_syntax": meta.transfer_syntax,
            "dataset_offset": meta.dataset_offset,
            "size": len(whole),
            "digest": digest or digest_of(file, meta.dataset_offset),
            "json": _ENCODER.encode(attributes).encode(),
            "attributes": attributes,
            "layout": layout,
            "warnings": (*warnings, *_contradictions(meta, attributes)),
        }


@contextmanager
def _data_set(file: BinaryIO, whole: Buffer, meta: FileMeta, scratch: Path) -> Iterator[tuple[Buffer, int]]:
    if not transfer_syntax(meta.transfer_syntax).deflated:
        yield whole, meta.dataset_offset
        return
    with inflated(file, meta.dataset_offset, scratch) as buffer:
        yield buffer, 0


def _walked(buffer: Buffer, start: int, meta: FileMeta) -> tuple[dict[str, Any], Layout, tuple[str, ...]]:
    syntax = transfer_syntax(meta.transfer_syntax)
    walker = Walker(buffer)
    attributes = walker.read(start, encoding_of(syntax))
    frames = FrameFinder(walker, attributes, syntax, buffer).layout()
    return attributes, replace(frames, deflated=syntax.deflated, bulk=walker.bulk), walker.warnings


def _key(attributes: Mapping[str, Any]) -> InstanceKey:
    return InstanceKey(
        _uid(attributes, "0020000D", "StudyInstanceUID"),
        _uid(attributes, "0020000E", "SeriesInstanceUID"),
        _uid(attributes, "00080018", "SOPInstanceUID"),
    )


def _uid(attributes: Mapping[str, Any], tag: str, keyword: str) -> str:
    value = attributes.get(tag, {}).get("Value", [""])[0]
    if not value:
        raise InvalidInstance(f"no {keyword} ({tag[:4]},{tag[4:]})")
    return checked_uid(str(value), keyword)


def _contradictions(meta: FileMeta, attributes: Mapping[str, Any]) -> Iterator[str]:
    if not known(meta.transfer_syntax):
        yield "(0002,0010): unknown transfer syntax, read as Explicit VR Little Endian"
    for tag, stated, keyword in (("00080016", meta.sop_class, "0002"), ("00080018", meta.sop, "0003")):
        if stated and stated != attributes[tag]["Value"][0]:
            yield f"(0002,{keyword}): {stated[:64]!r} is not what the data set says"
