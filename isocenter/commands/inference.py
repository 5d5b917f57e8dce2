"""Commands about the work that models do."""

import click

from isocenter.commands.console import print_json, print_table
from isocenter.commands.options import with_settings
from isocenter.settings import Settings

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")


@click.group()
def work() -> None:
    """The work items: which model ran on what, and how it ended."""


@work.command(name="list")
@with_settings()
@click.option("--study", help="Study Instance UID.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@_as_json
def list_work(settings: Settings, study: str | None, limit: int, *, as_json: bool) -> None:
    """List work items, newest first."""
    from isocenter.services import open_services  # noqa: PLC0415

    with open_services(settings) as services:
        items = services.work.list(study=study, limit=limit)
    if as_json:
        print_json([item.as_json() for item in items])
        return
    print_table(
        ("created", "model", "state", "outcome", "series", "reason"),
        [
            (
                f"{item.created_at:%Y-%m-%d %H:%M:%S}",
                f"{item.model.name} {item.model.version}",
                item.state.value,
                item.outcome.value if item.outcome else "",
                item.series,
                item.reason,
            )
            for item in items
        ],
    )
