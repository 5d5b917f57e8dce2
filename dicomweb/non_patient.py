"""Non-Patient Instance Service (PS3.18 12): palettes, protocols, implant templates, inventories."""

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response
from pydicom.datadict import dictionary_VR

from dicomweb.answers import content, streamed
from dicomweb.conditional import PRIVATE, Validators
from dicomweb.documented import UID, Accepting, Responses, found, get, problems
from dicomweb.forms import object_offers
from dicomweb.key_search import KeyQuery, read_key_query
from dicomweb.media_types import DICOM, DICOM_JSON, DICOM_XML, JSON, Accept, Offer
from dicomweb.multipart import multipart_type, new_boundary, write_multipart
from dicomweb.qido import (
    SEARCH_OPTIONS,
    key_parameter,
    more_results,
    query_parameters,
    results_json,
    results_xml,
)
from dicomweb.receive import Part
from dicomweb.store_response import (
    CANNOT_UNDERSTAND,
    OTHER_RESOURCE,
    Failure,
    Success,
    failure_reason,
    store_response,
)
from dicomweb.stow import RESULT_OFFERS, STORE_DOCUMENTED, origin, received
from dicomweb.urls import ServiceUrl
from dicomweb.xml import write_xml
from storage.errors import InvalidInstance, StorageError
from storage.header import read_object
from storage.instances import NonPatientInstance
from storage.non_patient import CATEGORIES, Attributes, Category, NonPatientInstances
from storage.search import Page
from storage.spool import Spool, SpoolFile
from storage.transcode import explicit_little_endian
from storage.transfer_syntax import transfer_syntax

_MOST_BULK = 64 << 20
"""Bytes of big values that are written into JSON or XML."""
_LIMIT = 1000
_XML = f'multipart/related; type="{DICOM_XML}"'
_PARTS = f'multipart/related; type="{DICOM}"'
_SEARCH_OFFERS = [Offer(DICOM_JSON), Offer(JSON), Offer(DICOM_XML, multipart=True)]
# Table 12.1.3-1: JSON is the default.
_METADATA_OFFERS = (*_SEARCH_OFFERS, Offer(DICOM_XML))
_ALWAYS = ("00080016", "00080018")
_FOUND: Responses = {
    200: found("The instances that match, an empty list when there are none", DICOM_JSON, JSON, _XML),
    204: {"description": "No result, where XML is wanted"},
    **problems(400, 406, 413),
}
_INSTANCE: Responses = {
    200: found(
        "The instance", DICOM_JSON, JSON, DICOM_XML, _XML, DICOM, f'multipart/related; type="{DICOM}"'
    ),
    206: found("The range of it that was asked for", DICOM),
    304: {"description": "The client has it already"},
    **problems(400, 404, 406, 413, 416),
}
_Uid = Annotated[str, Path(description="SOP Instance UID", pattern=UID)]


def add_non_patient(
    router: APIRouter,
    instances: NonPatientInstances,
    spool: Spool,
    base_url: str | None,
    max_request_bytes: int | None,
) -> None:
    """Search, retrieve and store, for each category of PS3.18 table 12.1.1-1."""
    storing = _Storing(instances, spool, base_url, max_request_bytes)
    for category in CATEGORIES.values():
        _add_search(router, category, instances, base_url)
        _add_retrieve(router, category, instances)
        _add_store(router, category, storing)


def _add_search(
    router: APIRouter, category: Category, instances: NonPatientInstances, base_url: str | None
) -> None:
    keys = [key_parameter(tag, vr) for tag in category.keys if (vr := dictionary_VR(int(tag, 16))) != "SQ"]
    described = {"parameters": query_parameters((*keys, *SEARCH_OPTIONS))}

    @get(router, f"/{category.name}", f"Search for {category.title}", _FOUND, openapi_extra=described)
    def search(request: Request, accept: Accepting) -> Response:
        media = accept.choose(_SEARCH_OFFERS).media
        query = read_key_query(request.query_params.multi_items())
        url = ServiceUrl.of(request, base_url)
        matching = instances.search(category.sop_classes, query.identifier, fuzzy=query.fuzzy)
        page = _page(matching, query, category, url)
        headers = more_results(url) if page.more else None
        return results_xml(page, headers) if media == DICOM_XML else results_json(page, headers, media)


def _page(matching: Iterator[Attributes], query: KeyQuery, category: Category, url: ServiceUrl) -> Page:
    limit = _LIMIT if query.limit is None else min(query.limit, _LIMIT)
    wanted = list(islice(matching, query.offset, query.offset + limit + 1))
    answers = [_answer(each, query, category) for each in wanted[:limit]]
    for answer in answers:
        answer["00081190"] = {
            "vr": "UR",
            "Value": [url.non_patient(category.name, answer["00080018"]["Value"][0])],
        }
    texts = (json.dumps(dict(sorted(each.items())), ensure_ascii=False) for each in answers)
    return Page(tuple(texts), more=len(wanted) > limit)


def _answer(attributes: Attributes, query: KeyQuery, category: Category) -> dict[str, Any]:
    if query.everything:
        return dict(attributes)
    tags = dict.fromkeys((*_ALWAYS, *category.keys, *query.identifier))
    asked = {tag: {"vr": key["vr"]} for tag, key in query.identifier.items()}
    return asked | {tag: attributes[tag] for tag in tags if tag in attributes}


def _add_retrieve(router: APIRouter, category: Category, instances: NonPatientInstances) -> None:
    @get(router, f"/{category.name}/{{uid}}", f"Retrieve one of the {category.title}", _INSTANCE)
    def retrieve(request: Request, uid: _Uid, accept: Accepting) -> Response:
        instance = instances.instance(uid, category.sop_classes)
        offer = accept.choose((*_METADATA_OFFERS, *object_offers(instance.transfer_syntax, image=False)))
        if offer.media != DICOM:
            return _metadata(request, instances, instance, offer)
        return _object(request, instances, instance, offer)


def _metadata(
    request: Request, instances: NonPatientInstances, instance: NonPatientInstance, offer: Offer
) -> Response:
    etag = f'"{instance.digest[:32]}-{"xml" if offer.media == DICOM_XML else "json"}"'
    validators = Validators(etag, instance.stored_at)
    if validators.held_by(request):
        return validators.not_modified()
    attributes = instances.attributes(instance, _MOST_BULK)
    headers = {**validators.headers, **PRIVATE}
    if offer.media != DICOM_XML:
        body = json.dumps([attributes], ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        return streamed(request, [body], offer.media, headers)
    return _alone_or_multipart(request, [write_xml(attributes)], offer, headers)


def _object(
    request: Request, instances: NonPatientInstances, instance: NonPatientInstance, offer: Offer
) -> Response:
    validators = Validators(f'"{instance.digest[:32]}-{offer.transfer_syntax}"', instance.stored_at)
    headers = {**validators.headers, **PRIVATE}
    if offer.transfer_syntax == instance.transfer_syntax:
        if not offer.multipart:

            def read(offset: int, length: int) -> Iterator[bytes]:
                return instances.stream(instance, offset, length)

            return content(request, offer.part_type, instance.size, validators, read)
        chunks = instances.stream(instance)
    else:
        syntax = transfer_syntax(instance.transfer_syntax)
        chunks = explicit_little_endian(instances.stream(instance), instance.size, syntax)
    if validators.held_by(request):
        return validators.not_modified()
    return _alone_or_multipart(request, chunks, offer, headers)


def _alone_or_multipart(
    request: Request, chunks: Iterator[bytes] | Sequence[bytes], offer: Offer, headers: dict[str, str]
) -> Response:
    if not offer.multipart:
        return streamed(request, chunks, offer.part_type, headers)
    boundary = new_boundary()
    body = write_multipart([(offer.part_type, chunks)], boundary)
    return streamed(request, body, multipart_type(offer.media, boundary), headers)


class _Storing:
    """Stores what requests bring."""

    def __init__(
        self, instances: NonPatientInstances, spool: Spool, base_url: str | None, limit: int | None
    ) -> None:
        self._instances = instances
        self._spool = spool
        self._base_url = base_url
        self._limit = limit

    async def answer(self, request: Request, accept: Accept, category: Category, uid: str | None) -> Response:
        media = accept.choose(RESULT_OFFERS).media
        url = ServiceUrl.of(request, self._base_url)

        def stored(parts: Sequence[Part]) -> Response:
            results = [self._stored(request, part, category, uid) for part in parts]
            done = [
                Success(each.sop_class, each.sop, url.non_patient(category.name, each.sop))
                if isinstance(each, NonPatientInstance)
                else each
                for each in results
            ]
            # Table 12.5.3-1: 202 would say that nothing is stored yet.
            return store_response(done, "", media, partly=200)

        return await received(request, self._spool, self._limit, stored)

    def _stored(
        self, request: Request, part: Part, category: Category, uid: str | None
    ) -> NonPatientInstance | Failure:
        if part.file is None:
            return Failure(part.sop_class, part.sop, CANNOT_UNDERSTAND, part.problem)
        try:
            if uid is not None and (sop := _sop(part.file)) not in {uid, ""}:
                comment = f"not instance {uid}, as the address says"
                return Failure(part.sop_class, sop, OTHER_RESOURCE, comment)
            return self._instances.store(part.file, origin(request), category.sop_classes)
        except StorageError as error:
            return Failure(part.sop_class, part.sop, failure_reason(error), str(error))


def _sop(file: SpoolFile) -> str:
    """SOP Instance UID of a file; empty when storing it will tell what is wrong."""
    try:
        return read_object(file.path).sop
    except InvalidInstance:
        return ""


def _add_store(router: APIRouter, category: Category, storing: _Storing) -> None:
    @router.post(f"/{category.name}", summary=f"Store {category.title}", **STORE_DOCUMENTED)
    async def store(request: Request, accept: Accepting) -> Response:
        return await storing.answer(request, accept, category, None)

    @router.post(
        f"/{category.name}/{{uid}}", summary=f"Store one of the {category.title}", **STORE_DOCUMENTED
    )
    async def store_one(request: Request, uid: _Uid, accept: Accepting) -> Response:
        return await storing.answer(request, accept, category, uid)
