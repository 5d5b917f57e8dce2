"""The modality worklist as JSON: what is planned, by keyword."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Annotated, Any, NoReturn

from fastapi import APIRouter, Body, HTTPException, Query, Response

from storage.errors import InvalidQuery
from storage.keywords import Readable, Unreadable, from_keywords, to_keywords
from storage.sql.scheduled_steps import SqlWorklist
from storage.worklist import InvalidStep, TakenStep, nested, scheduled_step
from webui.api.documented import problems
from webui.api.json_route import JsonRoute

MOST_ANSWERS = 1000
_EXAMPLE = {
    "PatientName": "Doe^Jane",
    "PatientID": "PID-1",
    "PatientBirthDate": "19700101",
    "PatientSex": "F",
    "AccessionNumber": "ACC-1",
    "RequestedProcedureDescription": "CT chest",
    "ScheduledProcedureStepSequence": [
        {
            "Modality": "CT",
            "ScheduledStationAETitle": "CT1",
            "ScheduledProcedureStepStartDate": "20300102",
            "ScheduledProcedureStepStartTime": "0930",
            "ScheduledProcedureStepDescription": "CT chest",
        }
    ],
}
_Step = Annotated[dict[str, Any], Body(examples=[_EXAMPLE])]
_Key = Annotated[str, Query(max_length=256)]
_Limit = Annotated[int, Query(ge=1, le=MOST_ANSWERS)]


def modality_worklist_router(steps: SqlWorklist) -> APIRouter:
    """The routes under `/modality-worklist`.

    A step is an object of attributes by keyword: text for most, a list for several values, a list of objects
    for a sequence. Study Instance UID and Scheduled Procedure Step ID are its key; what is absent is made.
    """
    router = APIRouter(prefix="/modality-worklist", tags=["modality worklist"], route_class=JsonRoute)

    @router.get(
        "",
        summary="Steps by the time of their start; `key` is `Keyword=value`, matched as in PS3.4 C.2.2.2",
        responses=problems(400),
    )
    def listed(key: Annotated[list[_Key], Query()] = [], limit: _Limit = 100) -> list[Readable]:  # noqa: B006 - FastAPI copies it
        with _named_errors():
            return [
                to_keywords(step.attributes)
                for step in islice(steps.search(from_keywords(nested(key))), limit)
            ]

    @router.post("", status_code=201, summary="Schedule a step", responses=problems(400, 409, 413, 415))
    def add(step: _Step, response: Response) -> Readable:
        with _named_errors():
            scheduled = scheduled_step(from_keywords(step))
            steps.add(scheduled)
        response.headers["Location"] = f"/api/modality-worklist/{scheduled.study}/{scheduled.step_id}"
        return to_keywords(scheduled.attributes)

    @router.get("/{study}/{step_id}", summary="One step", responses=problems(404))
    def get(study: str, step_id: str) -> Readable:
        found = steps.get(study, step_id)
        return to_keywords(found.attributes) if found else _unknown(study, step_id)

    @router.put(
        "/{study}/{step_id}",
        summary="Give a step other attributes",
        responses=problems(400, 404, 413, 415),
    )
    def replace(study: str, step_id: str, step: _Step) -> Readable:
        with _named_errors():
            scheduled = scheduled_step(from_keywords(step))
        if (scheduled.study, scheduled.step_id) != (study, step_id):
            raise HTTPException(
                400, "StudyInstanceUID and ScheduledProcedureStepID are not those of the address"
            )
        if not steps.replace(scheduled):
            _unknown(study, step_id)
        return to_keywords(scheduled.attributes)

    @router.delete(
        "/{study}/{step_id}", status_code=204, summary="Take a step off the worklist", responses=problems(404)
    )
    def remove(study: str, step_id: str) -> None:
        if not steps.remove(study, step_id):
            _unknown(study, step_id)

    return router


@contextmanager
def _named_errors() -> Iterator[None]:
    try:
        yield
    except (Unreadable, InvalidStep, InvalidQuery) as error:
        raise HTTPException(400, str(error)) from error
    except TakenStep as error:
        raise HTTPException(409, str(error)) from error


def _unknown(study: str, step_id: str) -> NoReturn:
    raise HTTPException(404, f"no step {step_id} of study {study}")
