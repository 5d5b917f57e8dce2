"""Retrieve Metadata (PS3.18 10.4.1.1.2): the stored headers, joined and, as JSON, never parsed."""

import json
from collections.abc import Iterator, Sequence
from hashlib import sha256

from fastapi import APIRouter, Request
from fastapi.responses import Response

from dicomweb.answers import streamed
from dicomweb.cache import ByteCache
from dicomweb.compression import MIN_BYTES, compressed, content_coding
from dicomweb.conditional import PRIVATE, Validators
from dicomweb.documented import (
    INSTANCE,
    SERIES,
    STUDY,
    Accepting,
    Key,
    Responses,
    Series,
    Study,
    found,
    get,
    problems,
)
from dicomweb.media_types import DICOM_JSON, DICOM_XML, JSON, Accept, Offer
from dicomweb.multipart import multipart_type, new_boundary, write_multipart
from dicomweb.urls import ServiceUrl
from dicomweb.xml import write_xml
from storage.archive import Archive
from storage.instances import Contents, StoredInstance

_OFFERS = [Offer(DICOM_JSON), Offer(JSON), Offer(DICOM_XML, multipart=True)]
_INSTANCE_DEPTH = 3
_AT_ONCE = 256
_MOST_KEPT = 2_000
"""Instances whose metadata are held in memory as a whole; those of more are sent while they are read."""
# In compact JSON this cannot stand inside a string, where a quotation mark is always behind a backslash.
_MARKER = b'"BulkDataURI":"bulkdata:'
_RESPONSES: Responses = {
    200: found(
        "One JSON object, or XML part, for each instance; big values are addresses",
        DICOM_JSON,
        JSON,
        f'multipart/related; type="{DICOM_XML}"',
    ),
    304: {"description": "The client has it already"},
    **problems(400, 404, 406),
}


def add_metadata(router: APIRouter, archive: Archive, cache: ByteCache, base_url: str | None) -> None:
    """The metadata of studies, series and instances; `cache` keeps those that were asked for last."""

    def answer(request: Request, accept: Accept, *path: str) -> Response:
        contents = archive.contents(*path)
        # One instance alone may be XML in a single part (8.6.1.1).
        offer = accept.choose([*_OFFERS, Offer(DICOM_XML)] if contents.instances == 1 else _OFFERS)
        url = ServiceUrl.of(request, base_url)
        etag = _etag(path, contents, url, offer)
        validators = Validators(etag, contents.newest, alone=len(path) == _INSTANCE_DEPTH)
        if validators.held_by(request):
            return validators.not_modified()
        headers = {**validators.headers, **PRIVATE}
        if offer.media == DICOM_XML:
            return _as_xml(request, _documents(archive, archive.instances(*path), url), offer, headers)
        if contents.instances > _MOST_KEPT or request.method == "HEAD":
            return streamed(request, metadata(archive, archive.instances(*path), url), offer.media, headers)
        coding = content_coding(request.headers.get("accept-encoding", ""))

        def make() -> bytes:
            body = b"".join(metadata(archive, archive.instances(*path), url))
            return compressed(body, coding) if coding and len(body) >= MIN_BYTES else body

        body = cache.get((url.base, path, contents.token, coding), make)
        if coding and not body.startswith(b"["):
            # The same metadata in other bytes (RFC 9110 8.8.1).
            headers |= {"Content-Encoding": coding, "ETag": f"W/{etag}"}
        headers["Vary"] = "Accept, Accept-Encoding"
        return Response(body, headers=headers, media_type=offer.media)

    @get(router, f"{STUDY}/metadata", "Metadata of the instances of a study", _RESPONSES)
    def study_metadata(request: Request, study: Study, accept: Accepting) -> Response:
        return answer(request, accept, study)

    @get(router, f"{SERIES}/metadata", "Metadata of the instances of a series", _RESPONSES)
    def series_metadata(request: Request, study: Study, series: Series, accept: Accepting) -> Response:
        return answer(request, accept, study, series)

    @get(router, f"{INSTANCE}/metadata", "Metadata of an instance", _RESPONSES)
    def instance_metadata(request: Request, key: Key, accept: Accepting) -> Response:
        return answer(request, accept, key.study, key.series, key.sop)


def _as_xml(request: Request, documents: Iterator[bytes], offer: Offer, headers: dict[str, str]) -> Response:
    if not offer.multipart:
        return streamed(request, documents, DICOM_XML, headers)
    boundary = new_boundary()
    body = write_multipart(((DICOM_XML, [each]) for each in documents), boundary)
    return streamed(request, body, multipart_type(DICOM_XML, boundary), headers)


def metadata(archive: Archive, instances: Sequence[StoredInstance], url: ServiceUrl) -> Iterator[bytes]:
    """A JSON array of the headers, some hundreds in a chunk; markers of big values become addresses."""
    before = b"["
    for some in _batches(instances):
        yield before + b",".join(_headers(archive, some, url))
        before = b","
    yield b"]" if instances else b"[]"


def _documents(archive: Archive, instances: Sequence[StoredInstance], url: ServiceUrl) -> Iterator[bytes]:
    """The XML document of each instance."""
    for some in _batches(instances):
        for header in _headers(archive, some, url):
            yield write_xml(json.loads(header))


def _batches(instances: Sequence[StoredInstance]) -> Iterator[Sequence[StoredInstance]]:
    return (instances[start : start + _AT_ONCE] for start in range(0, len(instances), _AT_ONCE))


def _headers(archive: Archive, some: Sequence[StoredInstance], url: ServiceUrl) -> Iterator[bytes]:
    for instance, header in zip(some, archive.headers(some), strict=True):
        yield _addressed(header, instance, url)


def _addressed(header: bytes, instance: StoredInstance, url: ServiceUrl) -> bytes:
    address = json.dumps(f"{url.instance(instance.key)}/bulkdata/")[1:-1]
    return header.replace(_MARKER, f'"BulkDataURI":"{address}'.encode())


def _etag(path: Sequence[str], contents: Contents, url: ServiceUrl, offer: Offer) -> str:
    form = str(offer) if offer.media == DICOM_XML else ""
    return f'"{sha256(repr((url.base, form, path, contents)).encode()).hexdigest()[:32]}"'
