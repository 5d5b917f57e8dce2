"""The body of a store request: streamed into spool files, never held in memory."""

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
    head: bytearray = field(default_factory=bytearray)
    sop_class: str = ""
    sop: str = ""
    """UIDs from the file meta information; empty when they cannot be read."""
    media: MediaType = field(default_factory=lambda: MediaType(""))
    location: str = ""
    """Content-Location: the address by which metadata names it."""


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
        kind, self._reader = _reader(content_type)
        self.is_metadata = kind in _METADATA
        """The parts are metadata and bulk data, not DICOM files."""
        if self._reader is None:
            self._begin({"content-type": kind})

    def feed(self, data: bytes) -> None:
        """Take the next bytes. Raises `BadRequest`, `PayloadTooLarge`, `StorageFull` or `StorageDown`."""
        self._received += len(data)
        if self._limit is not None and self._received > self._limit:
            raise PayloadTooLarge(f"the body is longer than {self._limit} bytes")
        if self._reader is None:
            self._take(PartData(data))
            return
        for event in self._reader.feed(data):
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
        part = self.parts[-1]
        if part.file is None:
            return
        if isinstance(event, PartData):
            part.file.write(event.data)
            if not self.is_metadata:
                part.head += event.data[: _HEAD - len(part.head)]
        else:
            part.file.close()  # of thousands of parts, only one is open
            if not self.is_metadata:
                _identify(part)

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
        self.parts.append(Part(number, file, problem, media=media, location=location))


def _identify(part: Part) -> None:
    try:
        meta: FileMeta = read_meta(bytes(part.head))
        checked_uid(meta.sop_class, "MediaStorageSOPClassUID")
        part.sop_class, part.sop = meta.sop_class, checked_uid(meta.sop, "MediaStorageSOPInstanceUID")
    except InvalidInstance:
        pass  # storing it will say what is wrong
    part.head.clear()


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
