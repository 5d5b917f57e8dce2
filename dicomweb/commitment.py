"""The Storage Commitment Service (PS3.18 13): whether instances are safely stored, answered at once."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from dicomweb.documented import UID, Responses, found, problems
from dicomweb.media_types import DICOM_JSON, DICOM_XML, JSON, Accept
from dicomweb.problems import BadRequest, NotFound
from dicomweb.ups_answers import OFFERS, data_sets
from dicomweb.ups_bodies import BODY_DOCUMENTED, Body, read_data_set
from storage.archive import Archive
from storage.commitment import Reference, check
from storage.instances import checked_uid
from storage.pixels.attributes import Attributes, items, text

_REFERENCED, _FAILED, _REASON = "00081199", "00081198", "00081197"
_CLASS, _INSTANCE = "00081150", "00081155"
_MOST = 2000
_XML = f'multipart/related; type="{DICOM_XML}"'
_RESPONSES: Responses = {
    200: found("Which instances are committed, and why the others are not", DICOM_JSON, JSON, _XML),
    **problems(400, 406, 413, 415),
}
_Transaction = Annotated[str, Path(description="Transaction UID", pattern=UID)]


def add_commitment(router: APIRouter, archive: Archive, read_up_to: int) -> None:
    """Request and Result Check of commitments.

    Args:
        router: of the service.
        archive: which has to keep the instances.
        read_up_to: bytes; bigger files are not read again to compare their digest.
    """

    @router.post(
        "/commitment-requests/{transaction}",
        summary="Ask for the commitment to keep instances",
        responses=_RESPONSES,
        response_class=Response,
        openapi_extra=BODY_DOCUMENTED,
    )
    def commit(request: Request, transaction: _Transaction, body: Body) -> Response:
        checked_uid(transaction, "Transaction UID")
        offer = Accept(request.headers.get("accept")).choose(OFFERS)
        verdict = check(archive, _references(read_data_set(request, body)), read_up_to=read_up_to)
        answer: dict[str, Any] = {}
        if verdict.failed:
            failures = [_item(each) | _reason(why) for each, why in verdict.failed]
            answer[_FAILED] = {"vr": "SQ", "Value": failures}
        if verdict.committed:
            answer[_REFERENCED] = {"vr": "SQ", "Value": [_item(each) for each in verdict.committed]}
        return data_sets([answer], offer.media)

    @router.get(
        "/commitment-requests/{transaction}",
        summary="Check for the result of a request",
        responses={200: _RESPONSES[200], **problems(400, 404)},
        response_class=Response,
    )
    def result(transaction: _Transaction) -> Response:
        # PS3.18 13.5: for requests that were answered by 202, which no request is here.
        raise NotFound(f"commitment request {transaction} is not under way: its answer had the result")


def _references(request: Attributes) -> list[Reference]:
    listed = items(request, _REFERENCED)
    if not 0 < len(listed) <= _MOST:
        raise BadRequest(f"Referenced SOP Sequence (0008,1199) must have 1 to {_MOST} items")
    return [
        Reference(
            checked_uid(text(each, _CLASS), "Referenced SOP Class UID"),
            checked_uid(text(each, _INSTANCE), "Referenced SOP Instance UID"),
        )
        for each in listed
    ]


def _item(reference: Reference) -> dict[str, Any]:
    return {
        _CLASS: {"vr": "UI", "Value": [reference.sop_class]},
        _INSTANCE: {"vr": "UI", "Value": [reference.sop]},
    }


def _reason(value: int) -> dict[str, Any]:
    return {_REASON: {"vr": "US", "Value": [value]}}
