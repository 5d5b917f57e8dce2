"""STOW-RS (PS3.18 10.5): store instances."""

import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from dicomweb.compose import composed
from dicomweb.documented import STUDY, Accepting, Responses, Study, found, problems
from dicomweb.media_types import DICOM, DICOM_JSON, DICOM_XML, JSON, Accept, Offer
from dicomweb.problems import PayloadTooLarge, UnsupportedMediaType
from dicomweb.receive import Part, Receiver
from dicomweb.store_response import (
    CANNOT_UNDERSTAND,
    OTHER_RESOURCE,
    Failure,
    Success,
    failure_reason,
    store_response,
)
from dicomweb.urls import ServiceUrl
from storage.archive import Archive
from storage.errors import InvalidInstance
from storage.header import read_header
from storage.instances import Accepted, Origin, Refused, checked_uid
from storage.spool import Spool, SpoolFile

_log = logging.getLogger(__name__)

Outcome = Accepted | Failure

_AT_ONCE = 1 << 20
RESULT_OFFERS = [Offer(DICOM_JSON), Offer(JSON), Offer(DICOM_XML)]


def add_store(
    router: APIRouter, archive: Archive, spool: Spool, base_url: str | None, max_request_bytes: int | None
) -> None:
    """The store transaction, for any study and for a named one.

    A request whose body does not arrive whole stores nothing, not even the parts that did: all instances of a
    request are stored when its last byte is here.
    """

    async def store(request: Request, accept: Accept, study: str | None) -> Response:
        media = accept.choose(RESULT_OFFERS).media
        url = ServiceUrl.of(request, base_url)

        def stored(parts: Sequence[Part]) -> Response:
            outcomes = _stored(archive, parts, study, origin(request))
            accepted = [outcome for outcome in outcomes if isinstance(outcome, Accepted)]
            studies = {each.instance.key.study for each in accepted}
            results = [_success(each, url) if isinstance(each, Accepted) else each for each in outcomes]
            return store_response(results, url.study(studies.pop()) if len(studies) == 1 else "", media)

        return await received(request, spool, max_request_bytes, stored)

    @router.post("/studies", summary="Store instances", **STORE_DOCUMENTED)
    async def store_instances(request: Request, accept: Accepting) -> Response:
        return await store(request, accept, None)

    @router.post(STUDY, summary="Store instances of one study", **STORE_DOCUMENTED)
    async def store_study_instances(request: Request, study: Study, accept: Accepting) -> Response:
        return await store(request, accept, checked_uid(study, "StudyInstanceUID"))


async def received(
    request: Request, spool: Spool, limit: int | None, stored: Callable[[Sequence[Part]], Response]
) -> Response:
    """The answer that `stored` makes of the instances of a request, once its last byte is here.

    Args:
        request: of a store transaction.
        spool: where it is received.
        limit: greatest body in bytes.
        stored: called in a thread with all instances; what they are in is gone afterwards.

    Raises:
        BadRequest, PayloadTooLarge, UnsupportedMediaType: the body is not one of instances.
        StorageError: there is no room to receive it.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("the body must not have a Content-Encoding")
    receiver = await run_in_threadpool(Receiver, spool, request.headers.get("content-type"), limit)
    try:
        _refuse_early(request, limit)
        rest = await _receive(request, receiver)

        def complete() -> Response:
            receiver.feed(rest)
            parts = receiver.finish()
            instances = composed(parts, spool) if receiver.is_metadata else nullcontext(parts)
            with instances as whole:
                return stored(whole)

        return await run_in_threadpool(complete)
    except ClientDisconnect:
        _log.info("a store request from %s ended within its body: nothing stored", origin(request).address)
        return Response(status_code=400)
    finally:
        await run_in_threadpool(receiver.discard)


_ANSWERS = (DICOM_JSON, JSON, DICOM_XML)
_RESPONSES: Responses = {
    200: found("All instances are stored", *_ANSWERS),
    202: found("Some instances are stored, or all and some with warnings", *_ANSWERS),
    409: found("No instance is stored; each has its Failure Reason", *_ANSWERS),
    **problems(400, 406, 413, 415, 507),
}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
STORE_DOCUMENTED: dict[str, Any] = {
    "responses": _RESPONSES,
    "response_class": Response,
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "description": "DICOM files: one, or each a part of a multipart body; or metadata, with bulk "
            "data in further parts whose Content-Location is the BulkDataURI",
            "content": {
                **{f'multipart/related; type="{kind}"': _BINARY for kind in (DICOM, DICOM_JSON, DICOM_XML)},
                **dict.fromkeys((DICOM, DICOM_JSON, DICOM_XML), _BINARY),
            },
        }
    },
}


def _refuse_early(request: Request, limit: int | None) -> None:
    length = request.headers.get("content-length", "0")
    if limit is not None and length.isdigit() and int(length) > limit:
        raise PayloadTooLarge(f"the body is longer than {limit} bytes")


async def _receive(request: Request, receiver: Receiver) -> list[bytes]:
    """Feed the body in pieces worth a change of thread; the rest is returned."""
    pending: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        pending.append(chunk)
        size += len(chunk)
        if size >= _AT_ONCE:
            await run_in_threadpool(receiver.feed, pending)
            pending, size = [], 0
    return pending


def origin(request: Request) -> Origin:
    """Who sent the request."""
    agent = request.headers.get("user-agent", "")[:64]
    return Origin("stow", peer=agent, address=request.client.host if request.client else "")


def _stored(archive: Archive, parts: Sequence[Part], study: str | None, sender: Origin) -> list[Outcome]:
    """Store `parts` in one delivery; a result for each, in order."""
    results: dict[int, Outcome] = {}
    files: list[tuple[Part, SpoolFile]] = []
    for part in parts:
        if part.file is None:
            results[part.number] = Failure(part.sop_class, part.sop, CANNOT_UNDERSTAND, part.problem)
        elif failure := _of_other_study(part, part.file, study):
            results[part.number] = failure
        else:
            files.append((part, part.file))
    with archive.delivery(sender) as delivery:
        outcomes = delivery.ingest_many(file for _, file in files)
    for (part, _), outcome in zip(files, outcomes, strict=True):
        results[part.number] = _failure(part, outcome) if isinstance(outcome, Refused) else outcome
    return [results[part.number] for part in parts]


def _of_other_study(part: Part, file: SpoolFile, study: str | None) -> Failure | None:
    """The failure of an instance that is not of `study`, which the address names (PS3.18 10.5.2)."""
    if study is None:
        return None
    try:
        key = read_header(file.path).key
    except InvalidInstance:
        return None  # ingest refuses it, and lists the refusal
    if key.study == study:
        return None
    return Failure(part.sop_class, key.sop, OTHER_RESOURCE, f"of study {key.study}, not of the request's")


def _success(accepted: Accepted, url: ServiceUrl) -> Success:
    instance = accepted.instance
    return Success(instance.sop_class, instance.key.sop, url.instance(instance.key), accepted.warnings)


def _failure(part: Part, refused: Refused) -> Failure:
    sop_class, sop = (refused.sop_class, refused.sop) if refused.sop else (part.sop_class, part.sop)
    return Failure(sop_class, sop, failure_reason(refused.error), str(refused.error))
