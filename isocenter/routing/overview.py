"""Rules, destinations and shipments as JSON, for the command line and the API alike."""

from datetime import datetime
from typing import Any

from isocenter.routing.queue_sql import SqlShipments
from isocenter.routing.shipments import Shipment
from isocenter.settings import Settings


def rules_as_json(settings: Settings) -> list[dict[str, Any]]:
    """The rules as they are set."""
    return [each.model_dump(mode="json") for each in settings.routes]


def destinations_as_json(settings: Settings, queue: SqlShipments) -> list[dict[str, Any]]:
    """Where each destination is, and how it does; those without settings still have figures."""
    places = {each.name: each.url or f"peer {each.peer}" for each in settings.destinations}
    return [
        {
            "destination": each.destination,
            "to": places.get(each.destination),
            "waiting": each.waiting,
            "oldest": _shown(each.oldest),
            "parked": each.parked,
            "sent": each.sent,
            "failed": each.failed,
            "last_sent_at": _shown(each.last_sent_at),
            "last_reason": each.last_reason,
        }
        for each in queue.figures(places)
    ]


def shipment_as_json(shipment: Shipment) -> dict[str, Any]:
    """A shipment."""
    return {
        "id": shipment.id,
        "destination": shipment.destination,
        "study": shipment.study,
        "rule": shipment.rule,
        "state": shipment.state,
        "queued_at": _shown(shipment.queued_at),
        "changed_at": _shown(shipment.changed_at),
        "due_at": _shown(shipment.due_at),
        "attempts": shipment.attempts,
        "total": shipment.total,
        "sent": shipment.sent,
        "reason": shipment.reason,
    }


def _shown(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")
