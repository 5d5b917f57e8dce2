"""Bodies of the Worklist and Storage Commitment Services: one data set, in DICOM JSON or XML, not trusted."""

import json
from typing import Annotated, Any

from fastapi import Depends, Request

from dicomweb.encoding import Chunks, encode_data_set
from dicomweb.media_types import DICOM_JSON, DICOM_XML, JSON, parse_media_type
from dicomweb.multipart import MultipartReader, PartData
from dicomweb.problems import BadRequest, PayloadTooLarge, UnsupportedMediaType
from dicomweb.xml_reader import read_xml
from storage.encoding import EXPLICIT
from storage.errors import InvalidInstance
from storage.procedure_steps import Attributes
from storage.walker import Walker

MAX_BODY = 4 << 20
"""Bytes of a body."""
_KINDS = (DICOM_JSON, JSON, DICOM_XML)
BODY_DOCUMENTED: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "One data set",
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in (*_KINDS, f'multipart/related; type="{DICOM_XML}"')
        },
    }
}


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise PayloadTooLarge(f"the body is longer than {MAX_BODY} bytes")
    return bytes(body)


Body = Annotated[bytes, Depends(_read)]
"""The bytes of the request, not too many."""


def read_data_set(request: Request, body: bytes, *, required: bool = True) -> Attributes:
    """The data set of a request.

    Args:
        request: with its Content-Type.
        body: its bytes.
        required: there must be one; otherwise an empty body is an empty data set.

    Raises:
        BadRequest: it is no data set.
        UnsupportedMediaType: it is in another form.
    """
    if not body and not required:
        return {}
    media = parse_media_type(request.headers.get("content-type", ""))
    name = media.name if media else ""
    if name == "multipart/related" and media is not None:
        name, body = DICOM_XML, _only_part(media.parameters.get("boundary", ""), body)
    if name not in _KINDS:
        raise UnsupportedMediaType(f"the body must be {DICOM_JSON} or {DICOM_XML}")
    return _normal(read_xml(body) if name == DICOM_XML else _from_json(body))


def _only_part(boundary: str, body: bytes) -> bytes:
    reader = MultipartReader(boundary)
    part = b"".join(event.data for event in reader.feed(body) if isinstance(event, PartData))
    reader.close()
    return part


def _from_json(body: bytes) -> Any:
    try:
        read = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is no JSON: {error}") from error
    if isinstance(read, list):
        if len(read) != 1:
            raise BadRequest("the body must hold one data set")
        read = read[0]
    if not isinstance(read, dict):
        raise BadRequest("the body is no DICOM JSON object")
    return read


def _normal(attributes: Attributes) -> Attributes:
    """The same, as it comes out of a data set: numbers are numbers, text has the length its VR allows."""
    written = b"".join(encode_data_set(attributes, _no_bulk))
    normal = Walker(written).read(0, EXPLICIT)
    normal.pop("00080005", None)
    return dict(normal)


def _no_bulk(uri: str) -> Chunks:
    raise InvalidInstance(f"there is no bulk data here, but {uri[:100]!r}")
