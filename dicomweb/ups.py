"""The Worklist Service, UPS-RS (PS3.18 11): work items are created, read, changed, searched, watched."""

from typing import Annotated, Any
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from dicomweb.documented import Accepting, Responses, found, get, problems
from dicomweb.media_types import DICOM_JSON, DICOM_XML, JSON
from dicomweb.problems import BadRequest, NotFound
from dicomweb.ups_answers import OFFERS, data_sets, replied
from dicomweb.ups_bodies import BODY_DOCUMENTED, Body, read_data_set
from dicomweb.ups_events import add_event_channel
from dicomweb.ups_search import read_filter, read_worklist_query
from dicomweb.urls import ServiceUrl
from storage.instances import checked_uid
from storage.procedure_steps import WEB, ProcedureSteps

FILTERED = "1.2.840.10008.5.1.4.34.5.1"
_STATE, _TRANSACTION, _INPUT = "00741000", "00081195", "00404021"
_AET = r"^[ -\[\]-~]{1,16}$"

Workitem = Annotated[str, Path(description="SOP Instance UID of the work item", pattern=r"^[0-9.]{1,64}$")]
Aet = Annotated[str, Path(description="AE title of the subscriber", pattern=_AET)]
_Requester = Annotated[str, Query(description="AE title of whoever asks", max_length=16)]
_XML = f'multipart/related; type="{DICOM_XML}"'
_WARNING = {"Warning": {"description": "299: what was changed, or why not", "schema": {"type": "string"}}}


def workitems_router(
    steps: ProcedureSteps, *, base_url: str | None = None, origins: tuple[str, ...] = ()
) -> APIRouter:
    """The service over `steps`.

    Args:
        steps: whoever keeps the procedure steps.
        base_url: address of the service as clients see it.
        origins: web pages of other addresses that may open an event channel.
    """
    router = APIRouter(tags=["UPS-RS"])
    _add_create(router, steps, base_url)
    _add_read(router, steps, base_url)
    _add_change(router, steps, base_url)
    _add_subscriptions(router, steps, base_url)
    add_event_channel(router, steps.reports, origins)
    return router


def _changed(success: int, meaning: str, *failures: int) -> dict[str, Any]:
    answers: Responses = {success: {"description": meaning, "headers": _WARNING}, **problems(*failures)}
    conflict = {"description": "The state of the work item does not allow it", "headers": _WARNING}
    return {"responses": {**answers, 409: conflict}, "response_class": Response, "status_code": success}


def _add_create(router: APIRouter, steps: ProcedureSteps, base_url: str | None) -> None:
    @router.post(
        "/workitems",
        summary="Create a work item",
        openapi_extra=BODY_DOCUMENTED,
        **_changed(201, "Created; Location tells where", 400, 413, 415),
    )
    def create_workitem(
        request: Request,
        body: Body,
        workitem: Annotated[str, Query(description="SOP Instance UID that it is to have")] = "",
        affected: Annotated[
            str, Query(alias="AffectedSOPInstanceUID", description="The same, as up to 2018")
        ] = "",
    ) -> Response:
        url = ServiceUrl.of(request, base_url)
        uid = workitem or affected or _bare(request)
        reply = steps.create(read_data_set(request, body), checked_uid(uid, "workitem") if uid else "")
        location = f"{url.base}/workitems/{reply.uid}"
        return replied(reply, url.base, 201, {"Location": location, "Content-Location": location})


def _add_read(router: APIRouter, steps: ProcedureSteps, base_url: str | None) -> None:
    given = found("The work item", DICOM_JSON, JSON, _XML)

    def retrieve_workitem(workitem: Workitem, accept: Accepting) -> Response:
        media = accept.choose(OFFERS).media
        known = steps.retrieve(workitem)
        if known is None:
            raise NotFound(f"there is no work item {workitem}")
        return data_sets([known], media)

    def search_workitems(request: Request, accept: Accepting) -> Response:
        media = accept.choose(OFFERS).media
        query = read_worklist_query(request.query_params.multi_items())
        page = steps.search(query.identifier, limit=query.limit, offset=query.offset)
        answers = [
            answer if query.with_inputs else {tag: each for tag, each in answer.items() if tag != _INPUT}
            for answer in page.answers
        ]
        base = ServiceUrl.of(request, base_url).base
        more = f"299 {base}: There are additional results that can be requested"
        return data_sets(answers, media, {"Warning": more} if page.more else None)

    get(
        router,
        "/workitems/{workitem}",
        "Retrieve a work item",
        {200: given, **problems(400, 404, 406)},
    )(retrieve_workitem)
    get(
        router,
        "/workitems",
        "Search for work items",
        {
            200: found("Those that match", DICOM_JSON, JSON, _XML, headers=_WARNING),
            204: {"description": "None, where XML is wanted"},
            **problems(400, 406),
        },
        openapi_extra={"parameters": _SEARCH_PARAMETERS},
    )(search_workitems)


_SEARCH_PARAMETERS = [
    {"in": "query", "name": name, "required": False, "description": text, "schema": {"type": kind}}
    for name, text, kind in (
        ("ProcedureStepState", "SCHEDULED, IN PROGRESS, COMPLETED or CANCELED", "string"),
        ("ScheduledProcedureStepPriority", "HIGH, MEDIUM or LOW", "string"),
        ("ProcedureStepLabel", "Text; wild cards * and ? are taken", "string"),
        ("WorklistLabel", "Text; wild cards * and ? are taken", "string"),
        ("PatientID", "Text; wild cards * and ? are taken", "string"),
        ("StudyInstanceUID", "One or several UIDs, separated by commas", "string"),
        ("ScheduledStationNameCodeSequence.CodeValue", "The model, for our own work items", "string"),
        ("includefield", "Attributes, separated by commas, or `all`", "string"),
        ("limit", "At most so many results", "integer"),
        ("offset", "Results to pass over", "integer"),
    )
]


def _add_change(router: APIRouter, steps: ProcedureSteps, base_url: str | None) -> None:
    @router.post(
        "/workitems/{workitem}",
        summary="Update a work item",
        openapi_extra=BODY_DOCUMENTED,
        **_changed(200, "Updated", 400, 404, 413, 415),
    )
    def update_workitem(
        request: Request,
        workitem: Workitem,
        body: Body,
        transaction: Annotated[
            str, Query(alias="transaction-uid", description="Transaction UID of its performer", max_length=64)
        ] = "",
    ) -> Response:
        base = ServiceUrl.of(request, base_url).base
        changes = read_data_set(request, body)
        return replied(steps.update(workitem, changes, transaction or _bare(request)), base, 200)

    @router.put(
        "/workitems/{workitem}/state",
        summary="Change the state of a work item",
        openapi_extra=BODY_DOCUMENTED,
        **_changed(200, "It is in that state", 400, 404, 413, 415),
    )
    def change_workitem_state(
        request: Request, workitem: Workitem, body: Body, requester: _Requester = ""
    ) -> Response:
        base = ServiceUrl.of(request, base_url).base
        asked = read_data_set(request, body)
        state, transaction = _text(asked, _STATE), _text(asked, _TRANSACTION)
        return replied(steps.change_state(workitem, state, transaction, requester), base, 200)

    @router.post(
        "/workitems/{workitem}/cancelrequest",
        summary="Ask for a work item to be canceled",
        openapi_extra=BODY_DOCUMENTED,
        **_changed(202, "The request is passed on, or carried out", 400, 404, 413, 415),
    )
    def request_workitem_cancellation(
        request: Request, workitem: Workitem, body: Body, requester: _Requester = ""
    ) -> Response:
        base = ServiceUrl.of(request, base_url).base
        why = read_data_set(request, body, required=False)
        return replied(steps.request_cancel(workitem, why, requester), base, 202)


def _add_subscriptions(router: APIRouter, steps: ProcedureSteps, base_url: str | None) -> None:
    path = "/workitems/{workitem}/subscribers/{aetitle}"

    @router.post(
        path,
        summary="Subscribe to a work item, or to the worklist",
        **_changed(201, "Subscribed; Content-Location is the event channel", 400, 404),
    )
    def subscribe(
        request: Request,
        workitem: Workitem,
        aetitle: Aet,
        *,
        deletionlock: Annotated[bool, Query(description="Keep what has ended until unsubscribed")] = False,
        wanted: Annotated[
            str, Query(alias="filter", description="attribute=value, separated by commas")
        ] = "",
    ) -> Response:
        url = ServiceUrl.of(request, base_url)
        keys = read_filter(wanted) if workitem == FILTERED else None
        reply = steps.subscriptions.subscribe(
            workitem, WEB, aetitle.strip(), deletion_lock=deletionlock, keys=keys
        )
        return replied(reply, url.base, 201, {"Content-Location": _channel(url.base, aetitle.strip())})

    @router.delete(path, summary="Unsubscribe", **_changed(200, "Unsubscribed", 400, 404))
    def unsubscribe(request: Request, workitem: Workitem, aetitle: Aet) -> Response:
        base = ServiceUrl.of(request, base_url).base
        return replied(steps.subscriptions.unsubscribe(workitem, WEB, aetitle.strip()), base, 200)

    @router.post(
        path + "/suspend",
        summary="Do not subscribe to new work items",
        **_changed(200, "Suspended; subscriptions to those there are go on", 400, 404),
    )
    def suspend(request: Request, workitem: Workitem, aetitle: Aet) -> Response:
        base = ServiceUrl.of(request, base_url).base
        return replied(steps.subscriptions.suspend(workitem, WEB, aetitle.strip()), base, 200)


def _bare(request: Request) -> str:
    """A UID that is the whole query, as the templates of 11.4.1 and 11.6.1 write it."""
    query = request.url.query
    return query if query and query.replace(".", "").isdigit() else ""


def _text(attributes: dict[str, Any], tag: str) -> str:
    values = attributes.get(tag, {}).get("Value") or [""]
    if not isinstance(values[0], str):
        raise BadRequest(f"({tag[:4]},{tag[4:]}) is no text")
    return values[0].strip()


def _channel(base: str, aet: str) -> str:
    parts = urlsplit(base)
    scheme = "wss" if parts.scheme == "https" else "ws"
    return f"{scheme}://{parts.netloc}{parts.path}/ws/subscribers/{quote(aet)}"
