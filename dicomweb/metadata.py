"""Retrieve Metadata (PS3.18 10.4.1.1.2): the stored headers, joined and never parsed."""

import json
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from dicomweb.answers import PRIVATE, is_current, not_modified, streamed
from dicomweb.documented import (
    INSTANCE,
    SERIES,
    STUDY,
    Key,
    Responses,
    Series,
    Study,
    accepted,
    found,
    get,
    problems,
)
from dicomweb.media_types import DICOM_JSON, JSON, Accept, Offer
from dicomweb.urls import ServiceUrl
from storage.archive import Archive
from storage.instances import StoredInstance

_OFFERS = [Offer(DICOM_JSON), Offer(JSON)]
_AT_ONCE = 256
# In compact JSON this cannot stand inside a string, where a quotation mark is always behind a backslash.
_MARKER = b'"BulkDataURI":"bulkdata:'
_Accepted = Annotated[Accept, Depends(accepted)]
_RESPONSES: Responses = {
    200: found("One JSON object for each instance; big values are addresses", DICOM_JSON, JSON),
    304: {"description": "The client has it already"},
    **problems(400, 404, 406),
}


def add_metadata(router: APIRouter, archive: Archive, base_url: str | None) -> None:
    """The metadata of studies, series and instances."""

    def answer(request: Request, instances: Sequence[StoredInstance], accept: Accept) -> Response:
        media = accept.choose(_OFFERS).media
        url = ServiceUrl.of(request, base_url)
        etag = _etag(instances, url)
        if is_current(request, etag):
            return not_modified(etag)
        chunks = metadata(archive, instances, url)
        return streamed(request, chunks, media, {"ETag": etag, **PRIVATE})

    @get(router, f"{STUDY}/metadata", "Metadata of the instances of a study", _RESPONSES)
    def study_metadata(request: Request, study: Study, accept: _Accepted) -> Response:
        return answer(request, archive.instances(study), accept)

    @get(router, f"{SERIES}/metadata", "Metadata of the instances of a series", _RESPONSES)
    def series_metadata(request: Request, study: Study, series: Series, accept: _Accepted) -> Response:
        return answer(request, archive.instances(study, series), accept)

    @get(router, f"{INSTANCE}/metadata", "Metadata of an instance", _RESPONSES)
    def instance_metadata(request: Request, key: Key, accept: _Accepted) -> Response:
        return answer(request, archive.instances(key.study, key.series, key.sop), accept)


def metadata(archive: Archive, instances: Sequence[StoredInstance], url: ServiceUrl) -> Iterator[bytes]:
    """A JSON array of the headers, some hundreds in a chunk; markers of big values become addresses."""
    before = b"["
    for start in range(0, len(instances), _AT_ONCE):
        some = instances[start : start + _AT_ONCE]
        headers = zip(some, archive.headers(some), strict=True)
        yield before + b",".join(_addressed(header, instance, url) for instance, header in headers)
        before = b","
    yield b"]" if instances else b"[]"


def _addressed(header: bytes, instance: StoredInstance, url: ServiceUrl) -> bytes:
    address = json.dumps(f"{url.instance(instance.key)}/bulkdata/")[1:-1]
    return header.replace(_MARKER, f'"BulkDataURI":"{address}'.encode())


def _etag(instances: Sequence[StoredInstance], url: ServiceUrl) -> str:
    named = [(each.key.sop, each.version, each.digest) for each in instances]
    return f'"{sha256(repr((url.base, named)).encode()).hexdigest()[:32]}"'
