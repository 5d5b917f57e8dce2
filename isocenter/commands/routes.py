"""What goes out by itself, on the command line."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from isocenter.commands.console import out, print_json, print_table
from isocenter.commands.options import with_settings
from isocenter.settings import Settings

if TYPE_CHECKING:
    from storage.availability import Notice

_STATES = ("waiting", "parked", "sent", "dropped")
_FIGURES = ("destination", "to", "waiting", "oldest", "parked", "sent", "failed", "last_reason")
_SHIPMENT = ("id", "destination", "study", "state", "sent", "total", "attempts", "due_at", "reason")
_ELSEWHERE = ("received_at", "peer", "study", "instances", "availability", "retrieve_from")
_ERRAND = ("rule", "study", "state", "done", "attempts", "due_at", "reason")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
_numbers = click.argument("numbers", nargs=-1, type=click.IntRange(1))
_parked = click.option("--parked", is_flag=True, help="All that are parked.")


@click.group()
def routes() -> None:
    """What is sent to destinations by itself: rules, queues, and what to do when one is stuck."""


@routes.command(name="list")
@with_settings()
@_json
def list_(settings: Settings, *, as_json: bool) -> None:
    """List the destinations, what waits for them, and the rules."""
    from isocenter.routing.overview import destinations_as_json, rules_as_json  # noqa: PLC0415
    from isocenter.services import open_services  # noqa: PLC0415

    with open_services(settings) as services:
        found = destinations_as_json(settings, services.shipments)
    rules = rules_as_json(settings)
    if as_json:
        print_json({"destinations": found, "routes": rules})
        return
    print_table(_FIGURES, [tuple(each[name] for name in _FIGURES) for each in found])
    for rule in rules:
        asked = {key: rule[key] for key in ("source", "match") if rule[key]}
        out.print(
            f"{rule['name']}: {', '.join(rule['when'])} {asked or ''} → {', '.join(rule['to'])}", markup=False
        )


@routes.command()
@click.option(
    "--state", "states", multiple=True, type=click.Choice(_STATES), help="Default: waiting, parked."
)
@click.option("--destination", help="Name: only what goes there.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@with_settings()
@_json
def queue(
    settings: Settings, states: tuple[Any, ...], destination: str | None, limit: int, *, as_json: bool
) -> None:
    """List shipments, the latest first: what of one study waits for one destination."""
    from isocenter.routing.overview import shipment_as_json  # noqa: PLC0415
    from isocenter.services import open_services  # noqa: PLC0415

    with open_services(settings) as services:
        asked = states or ("waiting", "parked")
        found = services.shipments.listed(asked, destination=destination, limit=limit)
    rows = [shipment_as_json(each) for each in found]
    if as_json:
        print_json(rows)
    else:
        print_table(_SHIPMENT, [tuple(row[name] for name in _SHIPMENT) for row in rows])


@routes.command()
@_numbers
@_parked
@with_settings()
def retry(settings: Settings, numbers: tuple[int, ...], *, parked: bool) -> None:
    """Send the shipments NUMBERS now, as if they had never failed."""
    _change(settings, numbers, "retry", parked=parked)


@routes.command()
@_numbers
@_parked
@with_settings()
def drop(settings: Settings, numbers: tuple[int, ...], *, parked: bool) -> None:
    """Give up the shipments NUMBERS: what has not gone does not go."""
    _change(settings, numbers, "drop", parked=parked)


def _change(settings: Settings, numbers: tuple[int, ...], verb: str, *, parked: bool) -> None:
    from isocenter.routing.shipments import UnknownShipment  # noqa: PLC0415
    from isocenter.services import open_services  # noqa: PLC0415

    if not numbers and not parked:
        raise click.UsageError("which? Give numbers as of `isocenter routes queue`, or --parked")
    with open_services(settings) as services:
        all_parked = [each.id for each in services.shipments.listed(["parked"])] if parked else []
        for number in dict.fromkeys([*numbers, *all_parked]):
            try:
                found = getattr(services.shipments, verb)(number, datetime.now(UTC))
            except UnknownShipment as error:
                raise SystemExit(f"isocenter: {error}") from error
            out.print(f"{number} {found.state}: study {found.study} to {found.destination}", markup=False)


_limit = click.option("--limit", type=click.IntRange(1), default=100, show_default=True)


@routes.command()
@_limit
@with_settings()
@_json
def prefetches(settings: Settings, limit: int, *, as_json: bool) -> None:
    """List of which studies priors are, or were, fetched, the latest first."""
    _list_errands(settings, "prefetches", limit, as_json=as_json)


@routes.command()
@_limit
@with_settings()
@_json
def notices(settings: Settings, limit: int, *, as_json: bool) -> None:
    """List of which studies peers are, or were, told that they are here, the latest first."""
    _list_errands(settings, "notices", limit, as_json=as_json)


def _list_errands(settings: Settings, queue: str, limit: int, *, as_json: bool) -> None:
    from isocenter.services import open_services  # noqa: PLC0415

    with open_services(settings) as services:
        found = getattr(services, queue).listed(["waiting", "parked", "done"], limit)
    rows = [{name: getattr(each, name) for name in _ERRAND} for each in found]
    if as_json:
        print_json(rows)
    else:
        print_table(_ERRAND, [tuple(row.values()) for row in rows])


@routes.command()
@click.option("--study", help="Study Instance UID: only of that study.")
@_limit
@with_settings()
@_json
def elsewhere(settings: Settings, study: str | None, limit: int, *, as_json: bool) -> None:
    """List what other archives have told us that they have, the latest first."""
    from isocenter.services import open_services  # noqa: PLC0415

    with open_services(settings) as services:
        found = services.availability.listed(study, limit)
    rows = [dict(zip(_ELSEWHERE, _told(each), strict=True)) for each in found]
    if as_json:
        print_json(rows)
    else:
        print_table(_ELSEWHERE, [tuple(row.values()) for row in rows])


def _told(notice: "Notice") -> tuple[Any, ...]:
    instances = notice.instances()
    return (
        notice.received_at.isoformat(timespec="seconds"),
        notice.peer,
        notice.study,
        len(instances),
        ", ".join(sorted({availability for _, availability, _ in instances})),
        ", ".join(sorted({aet for _, _, aet in instances})),
    )
