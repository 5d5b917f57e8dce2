"""Commands over what was deleted and can still be brought back."""

from typing import Any

import click

from isocenter.commands.console import out, print_json, print_table
from isocenter.commands.options import with_settings
from isocenter.settings import Settings


@click.command()
@with_settings()
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
def deletions(settings: Settings, *, as_json: bool) -> None:
    """List what was deleted and can still be brought back, latest first."""
    from isocenter.services import open_services  # noqa: PLC0415 - each command imports only what it runs

    with open_services(settings) as services:
        found = services.index.tombstones()
    if as_json:
        rows: list[dict[str, Any]] = [
            {
                "id": each.id,
                "study": each.study,
                "series": each.series,
                "instance": each.sop,
                "instances": each.instances,
                "deleted_at": each.deleted_at,
                "until": each.due_at,
                "by": each.origin.peer,
            }
            for each in found
        ]
        print_json(rows)
        return
    print_table(
        ("id", "deleted", "until", "instances", "by", "of"),
        [
            (
                each.id,
                f"{each.deleted_at:%Y-%m-%d %H:%M:%S}",
                f"{each.due_at:%Y-%m-%d %H:%M:%S}",
                each.instances,
                each.origin.peer,
                each.sop or each.series or each.study,
            )
            for each in found
        ],
    )


@click.command()
@with_settings()
@click.argument("identifier", metavar="ID")
def undelete(settings: Settings, identifier: str) -> None:
    """Bring back what a deletion took; ID is from `isocenter deletions`."""
    from isocenter.services import open_services  # noqa: PLC0415
    from storage.deletions import undelete as bring_back  # noqa: PLC0415

    with open_services(settings) as services:
        report = bring_back(services.blobs, services.index, services.spool, identifier)
    out.print(f"{report.added} instances brought back")
    for name, reason in report.failed:
        out.print(f"not brought back: {name}: {reason}", markup=False, soft_wrap=True)
    raise SystemExit(1 if report.failed else 0)
