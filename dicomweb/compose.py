"""Metadata and bulk data, sent apart (PS3.18 10.5.2), put together to DICOM files."""

import json
import re
import struct
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from dicomweb.encoding import Chunks, encode_data_set
from dicomweb.forms import default_syntax
from dicomweb.image_pixel import described
from dicomweb.media_types import DICOM_JSON, DICOM_XML, JSON
from dicomweb.problems import BadRequest, PayloadTooLarge
from dicomweb.receive import Part
from dicomweb.xml_reader import read_xml
from storage.errors import InvalidInstance
from storage.instances import checked_uid
from storage.spool import Spool, SpoolFile
from storage.transcode import EXPLICIT_VR_LITTLE_ENDIAN, element_header
from storage.transfer_syntax import transfer_syntax

MAX_METADATA = 32 << 20
"""Bytes of all metadata of a request: it is read as a whole, and takes ten times as much while it is."""
_METADATA = frozenset({DICOM_JSON, JSON, DICOM_XML})
_FRAME = re.compile(r"(.+)/frames/([0-9]{1,9})")
_PIXEL_DATA = 0x7FE00010
_PIXELS = f"{_PIXEL_DATA:08X}"
_ITEM, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE0DD
_MAX_FRAGMENT = 0xFFFFFFFE
_PIECE = 1 << 20
_HEAD = 1 << 20

DataSet = dict[str, Any]


@contextmanager
def composed(parts: Sequence[Part], spool: Spool) -> Iterator[list[Part]]:
    """The instances that metadata parts describe, each with its file or with what is wrong with it.

    Files that nobody took are removed on leaving.

    Raises:
        BadRequest: the metadata cannot be read.
        PayloadTooLarge: there is too much of it.
    """
    bulk = _Bulk(parts)
    made: list[Part] = []
    try:
        for number, attributes in enumerate(_described_instances(parts), 1):
            made.append(_composed(number, attributes, bulk, spool))
        yield made
    finally:
        for part in made:
            if part.file is not None:
                part.file.discard()


def _described_instances(parts: Sequence[Part]) -> Iterator[Any]:
    sources = [part for part in parts if part.file is not None and part.media.name in _METADATA]
    # Bulk data may be XML or JSON too, and is then in a place of its own.
    sources = [part for part in sources if not part.location] or sources
    files = [part.file for part in sources if part.file is not None]
    if sum(file.size for file in files) > MAX_METADATA:
        raise PayloadTooLarge(f"the metadata is longer than {MAX_METADATA} bytes")
    if not files:
        raise BadRequest("the body has no part with metadata")
    for part, file in zip(sources, files, strict=True):
        data = file.path.read_bytes()
        if part.media.name == DICOM_XML:
            yield read_xml(data)
        else:
            yield from _objects(data)


def _objects(data: bytes) -> list[Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the metadata is no JSON: {error}") from error
    return found if isinstance(found, list) else [found]


def _composed(number: int, attributes: Any, bulk: "_Bulk", spool: Spool) -> Part:
    part = Part(number, None)
    if not isinstance(attributes, dict):
        part.problem = f"object {number} of the metadata is no DICOM JSON object"
        return part
    attributes = {str(tag).upper(): attribute for tag, attribute in attributes.items()}
    file = spool.new()
    try:
        part.sop_class = _uid(attributes, "00080016", "SOPClassUID")
        part.sop = _uid(attributes, "00080018", "SOPInstanceUID")
        for chunk in _file(attributes, part, bulk):
            file.write(chunk)
    except InvalidInstance as error:
        file.discard()
        part.problem = str(error)
        return part
    except BaseException:
        file.discard()
        raise
    file.close()
    part.file = file
    return part


def _uid(attributes: DataSet, tag: str, keyword: str) -> str:
    attribute = attributes.get(tag)
    values = attribute.get("Value") if isinstance(attribute, dict) else None
    if not isinstance(values, list) or not values or not isinstance(values[0], str):
        raise InvalidInstance(f"the metadata has no {keyword}")
    return checked_uid(values[0], keyword)


def _file(attributes: DataSet, part: Part, bulk: "_Bulk") -> Iterator[bytes]:
    frames = bulk.frames(attributes.get(_PIXELS))
    syntax = _syntax(frames)
    yield _file_meta(part.sop_class, part.sop, syntax)
    if not frames or not transfer_syntax(syntax).encapsulated:
        yield from encode_data_set(attributes, bulk.value)
        return
    known = {**described(syntax, bulk.head(frames[0])), **attributes}
    yield from encode_data_set(known, bulk.value, {_PIXEL_DATA: lambda: _encapsulated(frames)})


def _syntax(frames: Sequence[Part]) -> str:
    """The transfer syntax that the pixel data is in, as the media types of its parts say."""
    syntaxes = {
        part.media.parameters.get("transfer-syntax") or default_syntax(part.media.name) for part in frames
    }
    if len(syntaxes) > 1:
        raise InvalidInstance("the parts of the pixel data are in several transfer syntaxes")
    uid = checked_uid(next(iter(syntaxes), EXPLICIT_VR_LITTLE_ENDIAN), "transfer-syntax")
    syntax = transfer_syntax(uid)
    if syntax.big_endian or syntax.deflated:
        raise InvalidInstance(f"pixel data is sent little endian, not in {syntax.name}")
    return uid if syntax.encapsulated else EXPLICIT_VR_LITTLE_ENDIAN


def _file_meta(sop_class: str, sop: str, syntax: str) -> bytes:
    def uid(tag: int, text: str) -> bytes:
        value = text.encode() + b"\0" * (len(text) % 2)
        return element_header(tag, "UI", len(value)) + value

    meta = element_header(0x00020001, "OB", 2) + b"\0\1"
    meta += uid(0x00020002, sop_class) + uid(0x00020003, sop) + uid(0x00020010, syntax)
    group_length = element_header(0x00020000, "UL", 4) + struct.pack("<I", len(meta))
    return bytes(128) + b"DICM" + group_length + meta


def _encapsulated(frames: Sequence[Part]) -> Iterator[bytes]:
    """Pixel Data (PS3.5 A.4): an empty offset table, and one fragment for each frame."""
    yield element_header(_PIXEL_DATA, "OB", 0xFFFFFFFF)
    yield _item(_ITEM, 0)
    for part in frames:
        length, chunks = _read(part)
        if length > _MAX_FRAGMENT:
            raise InvalidInstance("a frame is too long")
        yield _item(_ITEM, length + length % 2)
        yield from chunks
        yield b"\0" * (length % 2)
    yield _item(_SEQUENCE_END, 0)


def _item(tag: int, length: int) -> bytes:
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, length)


class _Bulk:
    """The parts with bulk data, by their Content-Location."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts: dict[str, list[Part]] = defaultdict(list)
        self._frames: dict[str, dict[int, Part]] = defaultdict(dict)
        for part in parts:
            if part.location:
                self._parts[part.location].append(part)
                if frame := _FRAME.fullmatch(part.location):
                    self._frames[frame[1]][int(frame[2])] = part

    def value(self, address: str) -> Chunks:
        """The value under an address, its parts joined. Raises `InvalidInstance`."""
        pieces = [_read(part) for part in self._under(address)]
        return sum(length for length, _ in pieces), (chunk for _, chunks in pieces for chunk in chunks)

    def frames(self, attribute: Any) -> list[Part]:
        """The parts of the pixel data; none where it is in the metadata. Raises `InvalidInstance`."""
        if not isinstance(attribute, Mapping) or "BulkDataURI" not in attribute:
            return []
        return self._under(str(attribute["BulkDataURI"]))

    def head(self, part: Part) -> bytes:
        """The first bytes of a part."""
        _, chunks = _read(part, _HEAD)
        return b"".join(chunks)

    def _under(self, address: str) -> list[Part]:
        if found := self._parts.get(address):
            return found
        frames = self._frames.get(address, {})
        if not frames or sorted(frames) != list(range(1, len(frames) + 1)):
            raise InvalidInstance(f"the request has no part with the Content-Location {address[:200]}")
        return [frames[number] for number in sorted(frames)]


def _read(part: Part, limit: int | None = None) -> Chunks:
    if part.file is None:
        raise InvalidInstance(part.problem)
    return part.file.size, _chunks(part.file, limit)


def _chunks(file: SpoolFile, limit: int | None) -> Iterator[bytes]:
    with file.path.open("rb") as source:
        while chunk := source.read(_PIECE if limit is None else limit):
            yield chunk
            if limit is not None:
                return
