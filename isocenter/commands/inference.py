"""Commands about models and the work they do."""

from pathlib import Path

import click

from isocenter.commands.console import out, print_json, print_table
from isocenter.commands.options import with_settings
from isocenter.settings import Settings
from models.card import load_card

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")


@click.group()
def models() -> None:
    """The AI models of this installation."""


@models.command(name="list")
@with_settings()
@_as_json
def list_models(settings: Settings, *, as_json: bool) -> None:
    """List the models, and the packages that cannot be used with their reason."""
    from isocenter.services import catalog_for  # noqa: PLC0415 - other commands need no runtime

    catalog = catalog_for(settings)
    rows = [
        {
            "name": c.name,
            "version": c.version,
            "title": c.title,
            "task": c.task,
            "folder": str(c.folder),
            "sha256": c.model.sha256,
        }
        for c in catalog.cards()
    ]
    broken = [{"folder": str(each.folder), "reason": each.reason} for each in catalog.broken()]
    if as_json:
        print_json({"models": rows, "broken": broken})
        return
    print_table(
        ("name", "version", "task", "title"), [(r["name"], r["version"], r["task"], r["title"]) for r in rows]
    )
    for each in broken:
        out.print(f"broken: {each['folder']}: {each['reason']}", markup=False, soft_wrap=True)


@models.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def check(folder: Path) -> None:
    """Check the model package in FOLDER; names the line at fault."""
    from models.onnx_file import check_model  # noqa: PLC0415

    card = load_card(folder)
    check_model(card)
    out.print(f"{card.name} {card.version}: ready to use", markup=False, soft_wrap=True)


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
