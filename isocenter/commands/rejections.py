"""What rejection notes take out of use, on the command line."""

import click

from isocenter.commands.console import out, print_json, print_table
from isocenter.commands.options import with_settings
from isocenter.settings import Settings

_COLUMNS = ("note", "study", "code", "title", "instances")


@click.group()
def rejections() -> None:
    """Notes that take instances out of use: for quality, for patient safety, of a wrong worklist entry."""


@rejections.command(name="list")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
@with_settings()
def list_(settings: Settings, limit: int, *, as_json: bool) -> None:
    """List the notes that are in force."""
    from isocenter.services import open_services  # noqa: PLC0415 - each command imports only what it runs
    from storage.rejection import TITLES  # noqa: PLC0415

    with open_services(settings) as services:
        found = services.index.rejections(limit)
    rows = [(each.note, each.study, each.code, TITLES[each.code], each.instances) for each in found]
    if as_json:
        print_json([dict(zip(_COLUMNS, row, strict=True)) for row in rows])
    else:
        print_table(_COLUMNS, rows)


@rejections.command()
@click.argument("notes", nargs=-1, required=True)
@with_settings()
def undo(settings: Settings, notes: tuple[str, ...]) -> None:
    """Delete NOTES, SOP Instance UIDs: what they reject is shown again."""
    from isocenter.services import open_services  # noqa: PLC0415
    from storage.instances import Origin  # noqa: PLC0415

    with open_services(settings) as services:
        for note in notes:
            if not services.index.rejections(note=note):
                raise SystemExit(f"isocenter: no rejection note {note} is in force")
            key = services.archive.instance(note).key
            services.archive.delete(key.study, key.series, key.sop, origin=Origin("review"))
            out.print(f"{note} is deleted", markup=False)
