"""The work list as a JSON interface: looked at, tried again, canceled, started by hand."""

from typing import Annotated, Any, Literal, Protocol

from fastapi import APIRouter, HTTPException, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from inference.orders import NothingToDo, Ordering, UnknownModel
from inference.ups.elements import element
from inference.ups.replies import SUCCESS, UNKNOWN_STEP, Reply
from inference.workitems import IllegalTransition, Outcome, Priority, State, UnknownWorkItem, WorkItem
from webui.api.documented import problems
from webui.api.json_route import JsonRoute

_UID = r"^[0-9.]{1,64}$"
_REASON = "00741238"
_Uid = Annotated[str, Path(description="SOP Instance UID of the work item", pattern=_UID)]


class Work(Protocol):
    """The work list."""

    def list(
        self,
        *,
        states: tuple[State, ...] = (),
        outcome: Outcome | None = None,
        study: str | None = None,
        model: str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> tuple[WorkItem, ...]: ...
    def counts(self) -> dict[State, int]: ...
    def get(self, uid: str) -> WorkItem: ...
    def again(self, uid: str) -> WorkItem: ...


class Steps(Protocol):
    """Who cancels, or asks to."""

    def request_cancel(self, uid: str, request: dict[str, Any], requester: str = "") -> Reply: ...


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Retry(_Body):
    """Nothing needs to be said."""


class Cancel(_Body):
    """Why."""

    reason: Annotated[str, Field(max_length=1024)] = "canceled by hand"


class Run(_Body):
    """A model, and what it is to run on."""

    model: Annotated[str, Field(max_length=64)]
    study: Annotated[str, Field(pattern=_UID)]
    series: Annotated[str | None, Field(pattern=_UID)] = None
    priority: Literal["HIGH", "MEDIUM", "LOW"] = "HIGH"


def work_router(work: Work, steps: Steps, orders: Ordering) -> APIRouter:
    """The routes under `/work`.

    Args:
        work: the work list.
        steps: who cancels work items.
        orders: who starts models by hand.
    """
    router = APIRouter(tags=["work"], route_class=JsonRoute)
    _add_reading(router, work)
    _add_deciding(router, work, steps)

    @router.post(
        "/work",
        summary="Run a model on a study or a series",
        status_code=201,
        responses=problems(400, 404, 413, 415),
    )
    def run(body: Run) -> dict[str, Any]:
        try:
            ordered = orders.run(body.model, body.study, body.series, Priority[body.priority])
        except UnknownModel as error:
            raise HTTPException(404, str(error)) from error
        except NothingToDo as error:
            raise HTTPException(400, str(error)) from error
        return {"work": [each.item.as_json() | {"new": each.is_new} for each in ordered]}

    return router


def _add_reading(router: APIRouter, work: Work) -> None:
    @router.get(
        "/work", summary="Work items, newest first, and how many are in each state", responses=problems(400)
    )
    def listed(
        *,
        state: Annotated[list[State] | None, Query(description="Of any of these states")] = None,
        outcome: Annotated[Outcome | None, Query(description="Of those that ended: how")] = None,
        study: Annotated[str | None, Query(pattern=_UID)] = None,
        model: Annotated[str | None, Query(max_length=64)] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    ) -> dict[str, Any]:
        states = tuple(state or ())
        items = work.list(
            states=states, outcome=outcome, study=study, model=model, limit=limit, offset=offset
        )
        counts = {each.value: number for each, number in work.counts().items()}
        return {"counts": counts, "work": [item.as_json() for item in items]}

    @router.get("/work/{uid}", summary="One work item", responses=problems(400, 404))
    def one(uid: _Uid) -> dict[str, Any]:
        return _known(work, uid).as_json()


def _add_deciding(router: APIRouter, work: Work, steps: Steps) -> None:
    @router.post(
        "/work/{uid}/retry",
        summary="Try a work item again; one that ended without results is repeated by another",
        responses=problems(400, 404, 409, 413, 415),
    )
    def retry(uid: _Uid, _: Retry) -> dict[str, Any]:
        _known(work, uid)
        try:
            return work.again(uid).as_json()
        except IllegalTransition as error:
            raise HTTPException(409, str(error)) from error

    @router.post(
        "/work/{uid}/cancel",
        summary="Cancel a work item; whoever outside performs it is asked to",
        responses=problems(400, 404, 409, 413, 415),
    )
    def cancel(uid: _Uid, body: Cancel) -> dict[str, Any]:
        reply = steps.request_cancel(uid, {_REASON: element("LT", body.reason)})
        if reply.status == UNKNOWN_STEP:
            raise HTTPException(404, reply.comment)
        if reply.status != SUCCESS:
            raise HTTPException(409, reply.comment)
        return work.get(uid).as_json()


def _known(work: Work, uid: str) -> WorkItem:
    try:
        return work.get(uid)
    except UnknownWorkItem as error:
        raise HTTPException(404, str(error)) from error
