"""What goes out by itself, as JSON under `/api/routes`."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Query

from isocenter.routing.overview import destinations_as_json, rules_as_json, shipment_as_json
from isocenter.routing.queue_sql import SqlShipments
from isocenter.routing.shipments import State, UnknownShipment
from isocenter.settings import Settings
from webui.api.documented import problems
from webui.api.json_route import JsonRoute

_MOST = 1000
_MOST_NUMBER = (1 << 63) - 1
_Number = Annotated[int, Path(ge=1, le=_MOST_NUMBER, description="`id` of a shipment")]
_States = Annotated[list[State], Query(description="States of the shipments that are listed")]
_Destination = Annotated[str | None, Query(max_length=64)]
_Limit = Annotated[int, Query(ge=1, le=_MOST)]


def routes_router(settings: Settings, queue: SqlShipments) -> APIRouter:
    """The routes under `/routes`."""
    router = APIRouter(prefix="/routes", tags=["routes"], route_class=JsonRoute)

    @router.get(
        "", summary="Rules, destinations, and what of each study waits for them", responses=problems(400)
    )
    def overview(
        state: _States = ["waiting", "parked"],  # noqa: B006 - FastAPI copies it
        destination: _Destination = None,
        limit: _Limit = 100,
    ) -> dict[str, Any]:
        found = queue.listed(state, destination=destination, limit=limit)
        return {
            "routes": rules_as_json(settings),
            "destinations": destinations_as_json(settings, queue),
            "shipments": [shipment_as_json(each) for each in found],
        }

    @router.post("/{number}/retry", summary="Send a shipment now", responses=problems(404, 415))
    def retry(number: _Number) -> dict[str, Any]:
        try:
            return shipment_as_json(queue.retry(number, datetime.now(UTC)))
        except UnknownShipment as error:
            raise HTTPException(404, str(error)) from error

    @router.post("/{number}/drop", summary="Give up a shipment", responses=problems(404, 415))
    def drop(number: _Number) -> dict[str, Any]:
        try:
            return shipment_as_json(queue.drop(number, datetime.now(UTC)))
        except UnknownShipment as error:
            raise HTTPException(404, str(error)) from error

    return router
