"""Rows of the queues: single statements in the transaction of who calls."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, insert, select, update

from inference.inserting import insert_if_absent
from isocenter.routing.shipments import Chosen, Shipment
from isocenter.routing.tables import destination_counts, shipment_instances, shipments

MOST_REASON = 1000


def open_shipment(connection: Connection, destination: str, study: str) -> int | None:
    row = shipments.c
    same = and_(row.destination == destination, row.study_uid == study, row.state == "waiting")
    return connection.scalar(select(row.id).where(same).with_for_update())


def new_shipment(connection: Connection, chosen: Chosen, now: datetime, due_at: datetime) -> int:
    values = {
        "destination": chosen.destination,
        "study_uid": chosen.study,
        "rule": chosen.rule,
        "state": "waiting",
        "queued_at": now,
        "changed_at": now,
        "due_at": due_at,
    }
    made = connection.execute(insert(shipments).values(values).returning(shipments.c.id))
    return int(made.scalar_one())


def put(connection: Connection, number: int, sop: str) -> bool:
    """Whether one more instance waits; another version of one that was sent waits again."""
    row = shipment_instances.c
    values = {"shipment_id": number, "sop_uid": sop, "state": "waiting"}
    if insert_if_absent(connection, shipment_instances, values):
        return True
    same = and_(row.shipment_id == number, row.sop_uid == sop, row.state == "sent")
    again = update(shipment_instances).where(same).values(state="waiting")
    return bool(connection.execute(again).rowcount)


def mark(connection: Connection, number: int, sops: Sequence[str], values: Mapping[str, Any]) -> None:
    row = shipment_instances.c
    for at in range(0, len(sops), 500):
        some = and_(row.shipment_id == number, row.sop_uid.in_(sops[at : at + 500]))
        connection.execute(update(shipment_instances).where(some).values(values))


def count(connection: Connection, destination: str, results: Mapping[str, str], now: datetime) -> None:
    reasons = [reason for reason in results.values() if reason]
    if len(reasons) < len(results):
        row = destination_counts.c
        insert_if_absent(connection, destination_counts, {"destination": destination})
        sent = {"sent": row.sent + len(results) - len(reasons), "last_sent_at": now}
        connection.execute(update(destination_counts).where(row.destination == destination).values(sent))
    if reasons:
        count_failed(connection, destination, reasons[-1], len(reasons))


def count_failed(connection: Connection, destination: str, reason: str, count: int) -> None:
    row = destination_counts.c
    insert_if_absent(connection, destination_counts, {"destination": destination})
    values = {"failed": row.failed + count, "last_reason": reason[:MOST_REASON]}
    connection.execute(update(destination_counts).where(row.destination == destination).values(values))


def shipment_of(row: RowMapping | Mapping[str, Any]) -> Shipment:
    return Shipment(
        id=row["id"],
        destination=row["destination"],
        study=row["study_uid"],
        rule=row["rule"],
        state=row["state"],
        queued_at=row["queued_at"],
        changed_at=row["changed_at"],
        due_at=row["due_at"],
        attempts=row["attempts"],
        total=row["total"],
        sent=row["sent"],
        reason=row["reason"],
        holder=row["holder"],
    )
