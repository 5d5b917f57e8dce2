"""The body of a store request: streamed into spool files, never held in memory."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from dicomweb.media_types import DICOM, DICOM_JSON, DICOM_XML, OCTETS, MediaType, parse_media_type
from dicomweb.multipart import Event, MultipartReader, PartData, PartEnd, PartStart
from dicomweb.problems import BadRequest, PayloadTooLarge, UnsupportedMediaType
from storage.errors import InvalidInstance
from storage.instances import checked_uid
from storage.part10 import FileMeta, read_meta
from storage.spool import Spool, SpoolFile

_HEAD = 4096
# A part without a Content-Type is of the type that the whole body names (RFC 2387 3.1).
_PART_TYPES = frozenset({DICOM, OCTETS, ""})
_METADATA = frozenset({DICOM_JSON, DICOM_XML})


@dataclass(slots=True)
class Part:
    """One instance, or one piece of several, as it was sent; `file` is None when it was not kept."""

    number: int
    """From 1."""
    file: SpoolFile | None
    problem: str = ""
    """Why it was not kept."""
    sop_class: str = ""
    sop: str = ""
    """UIDs from the file meta information; empty when they cannot be read."""
    media: MediaType = field(default_factory=lambda: MediaType(""))
    location: str = ""
    """Content-Location: the address by which metadata names it."""


class _Writer:
    """Writes the bytes of a part; of a DICOM file it takes UIDs and the digest of the data set on the way."""

    def __init__(self, part: Part, file: SpoolFile, *, is_instance: bool) -> None:
        self._part = part
        self._file = file
        self._head: bytearray | None = bytearray() if is_instance else None
        self._digest: hashlib._Hash | None = None

    def write(self, data: memoryview) -> None:
        if self._head is None:
            self._append(data)
        elif not self._head and len(data) >= _HEAD:
            self._begin(data)
        else:
            self._head += data
            if len(self._head) >= _HEAD:
                self._begin(memoryview(self._head))

    def end(self) -> None:
        if self._head is not None:
            self._begin(memoryview(self._head))
        if self._digest:
            self._file.digest = self._digest.hexdigest()
        self._file.close()  # of thousands of parts, only one is open

    def _begin(self, data: memoryview) -> None:
        self._head = None
        if meta := _identified(self._part, bytes(data[:_HEAD])):
            self._digest = hashlib.sha256(data[meta.dataset_offset :])
        self._file.write(data)

    def _append(self, data: memoryview) -> None:
        if self._digest:
            self._digest.update(data)
        self._file.write(data)


class Receiver:
    """Takes the body piece by piece; afterwards `parts` holds what came whole."""

    def __init__(self, spool: Spool, content_type: str | None, limit: int | None) -> None:
        """Get ready for a body.

        Args:
            spool: where files are received.
            content_type: of the request.
            limit: bytes that the body may have.

        Raises:
            UnsupportedMediaType: the body is neither of DICOM files nor of metadata and bulk data.
            BadRequest: the boundary is missing or malformed.
        """
        self.parts: list[Part] = []
        self._spool = spool
        self._limit = limit
        self._received = 0
        self._writer: _Writer | None = None
        kind, self._reader = _reader(content_type)
        self.is_metadata = kind in _METADATA
        """The parts are metadata and bulk data, not DICOM files."""
        if self._reader is None:
            self._begin({"content-type": kind})

    def feed(self, pieces: Sequence[bytes]) -> None:
        """Take the next bytes. Raises `BadRequest`, `PayloadTooLarge`, `StorageFull` or `StorageDown`."""
        for data in pieces:
            self._received += len(data)
            if self._limit is not None and self._received > self._limit:
                raise PayloadTooLarge(f"the body is longer than {self._limit} bytes")
            for event in self._reader.feed(data) if self._reader else [PartData(memoryview(data))]:
                self._take(event)

    def finish(self) -> list[Part]:
        """The body has ended: all its parts. Raises `BadRequest` when it is not whole or holds nothing."""
        if self._reader is None:
            self._take(PartEnd())
        else:
            self._reader.close()
        if not self._received or not self.parts:
            raise BadRequest("the body holds no instance")
        return self.parts

    def discard(self) -> None:
        """Remove what was received and not handed on; harmless when done before."""
        for part in self.parts:
            if part.file is not None:
                part.file.discard()

    def _take(self, event: Event) -> None:
        if isinstance(event, PartStart):
            self._begin(event.headers)
            return
        if self._writer is None:
            return
        if isinstance(event, PartData):
            self._writer.write(event.data)
        else:
            self._writer.end()

    def _begin(self, headers: dict[str, str]) -> None:
        number = len(self.parts) + 1
        media = parse_media_type(headers.get("content-type", "")) or MediaType("")
        location = headers.get("content-location", "").strip().removeprefix("<").removesuffix(">")
        encoding = headers.get("content-transfer-encoding", "binary").lower()
        if encoding not in {"binary", "8bit"}:
            problem = f"part {number} is encoded as {encoding[:80]}, not {DICOM}"
        elif media.name not in _PART_TYPES and not self.is_metadata:
            problem = f"part {number} is {media.name[:80]}, not {DICOM}"
        else:
            problem = ""
        file = None if problem else self._spool.new()
        part = Part(number, file, problem, media=media, location=location)
        self.parts.append(part)
        self._writer = _Writer(part, file, is_instance=not self.is_metadata) if file else None


def _identified(part: Part, start: bytes) -> FileMeta | None:
    """The file meta information, of which the part keeps the UIDs; None when it cannot be read."""
    try:
        meta = read_meta(start)
        checked_uid(meta.sop_class, "MediaStorageSOPClassUID")
        part.sop_class, part.sop = meta.sop_class, checked_uid(meta.sop, "MediaStorageSOPInstanceUID")
    except InvalidInstance:
        return None  # storing it will say what is wrong
    return meta


def _reader(content_type: str | None) -> tuple[str, MultipartReader | None]:
    """The kind of the body, and the reader of a multipart one; None for a single part."""
    media = parse_media_type(content_type or "")
    if media is not None and media.name in _METADATA | {DICOM}:
        return media.name, None
    if media is None or media.name != "multipart/related":
        raise UnsupportedMediaType(f"a store request is {DICOM} or multipart/related; type={DICOM}")
    inner = parse_media_type(media.parameters.get("type", DICOM))
    if inner is None or inner.name not in _PART_TYPES | _METADATA:
        shown = media.parameters["type"][:80]
        raise UnsupportedMediaType(
            f"multipart/related is read with type={DICOM}, {DICOM_JSON} and {DICOM_XML}, not {shown!r}"
        )
    if "boundary" not in media.parameters:
        raise BadRequest("the Content-Type has no boundary")
    return inner.name, MultipartReader(media.parameters["boundary"])
