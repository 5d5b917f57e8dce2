"""Commands about the AI models of an installation."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inference.governance import Decision, Standing
from inference.records import FindingRecord
from isocenter.commands.console import err, out, print_json, print_table, progress
from isocenter.commands.options import with_settings
from isocenter.commands.versions import compare, decide, promote, reason_option, rollback, shadow
from isocenter.settings import Settings
from models.card import CARD_FILE, Card, load_card, load_package

if TYPE_CHECKING:
    from isocenter.services import Services
    from isocenter.trial import Tried

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
_version = click.option("--version", help="This version; the latest where none is given.")
_package = click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
_existing = click.Path(exists=True, path_type=Path)


@click.group()
def models() -> None:
    """The AI models of this installation."""


for _command in (shadow, compare, promote, rollback):
    models.add_command(_command)


@models.command(name="list")
@with_settings()
@_as_json
def list_models(settings: Settings, *, as_json: bool) -> None:
    """List the models in all their versions, and the packages that cannot be used with their reason."""
    from isocenter.services import open_services  # noqa: PLC0415 - other commands need no runtime

    with open_services(settings) as services:
        rows = _listed(services)
        broken = [{"folder": str(each.folder), "reason": each.reason} for each in services.catalog.broken()]
    if as_json:
        print_json({"models": rows, "broken": broken})
        return
    columns = ("name", "version", "runs", "task", "title", "note")
    print_table(columns, [["yes" if row[c] is True else row[c] or "" for c in columns] for row in rows])
    for each in broken:
        out.print(f"broken: {each['folder']}: {each['reason']}", markup=False, soft_wrap=True)


def _listed(services: "Services") -> list[dict[str, Any]]:
    running = {(card.name, card.version) for card in services.catalog.cards()}
    shadows = {(card.name, card.version) for card in services.catalog.shadows()}
    outside = [
        {"name": card.name, "version": card.version, "title": card.title, "task": "external"}
        | {"runs": services.catalog.why_stopped(card.name) is None, "sha256": "", "folder": str(card.folder)}
        | {"note": services.catalog.why_stopped(card.name) or "carried out elsewhere"}
        for card in services.catalog.catalog.external()
    ]
    return outside + [
        {
            "name": card.name,
            "version": card.version,
            "runs": (card.name, card.version) in running,
            "task": card.task,
            "title": card.title,
            "note": services.catalog.why_stopped(card.name)
            or ("in shadow" if (card.name, card.version) in shadows else ""),
            "folder": str(card.folder),
            "sha256": card.model.sha256,
        }
        for card in services.catalog.catalog.versions()
    ]


@models.command()
@_package
def check(folder: Path) -> None:
    """Check the model package in FOLDER; names the line at fault."""
    from models.onnx_file import check_model  # noqa: PLC0415

    card = load_package(folder)
    if isinstance(card, Card):
        check_model(card)
    out.print(f"{card.name} {card.version}: ready to use", markup=False, soft_wrap=True)


@models.command()
@click.argument("name")
@_version
@with_settings()
@_as_json
def show(settings: Settings, name: str, version: str | None, *, as_json: bool) -> None:
    """Show what a model is for and not for, where it comes from, and who decided that it runs."""
    from isocenter.services import open_services  # noqa: PLC0415

    with open_services(settings) as services:
        card = services.catalog.catalog.get(name, version)
        stopped = services.catalog.why_stopped(name)
        decisions = services.decisions.history(name)
        rules = services.rules().of(name)
    if as_json:
        history = [_decision_row(each) for each in decisions]
        shown = {"card": card.model_dump(mode="json"), "stopped": stopped, "decisions": history}
        print_json(shown | {"rules": [rule.model_dump(mode="json") for rule in rules]})
        return
    for label, value in [*_facts(card, stopped), *(("rule", str(rule)) for rule in rules)]:
        out.print(f"[bold]{label}[/bold]", end=" ")
        out.print(value, markup=False, soft_wrap=True)
    if decisions:
        rows = [_decision_row(each) for each in decisions]
        print_table(tuple(rows[0]), [tuple(row.values()) for row in rows])


def _facts(card: Card, stopped: str | None) -> list[tuple[str, str]]:
    return [
        ("model", f"{card.name} {card.version}: {card.title}"),
        ("runs", stopped or "yes, when a series arrives that it is for"),
        ("for", card.intended_use.strip()),
        *(("not for", text) for text in card.not_for),
        ("takes", f"{', '.join(card.applies_to.modality)}, by {card.applies_to.scope}"),
        *(("input", image.in_words) for image in card.images if len(card.images) > 1),
        ("from", card.origin.strip()),
        ("licence", card.licence),
        ("sha256", card.model.sha256),
        ("folder", str(card.folder)),
    ]


def _decision_row(decision: Decision) -> dict[str, str]:
    return {
        "at": f"{decision.at:%Y-%m-%d %H:%M:%S}",
        "decision": decision.standing.value,
        "version": decision.version or "latest",
        "by": decision.by,
        "reason": decision.reason,
    }


@models.command()
@click.argument("source", type=_existing)
@click.option("--disabled", is_flag=True, help="Do not run it yet.")
@reason_option
@with_settings()
def add(settings: Settings, source: Path, reason: str, *, disabled: bool) -> None:
    """Check the model package in SOURCE (a folder, .zip or .tar file), copy it here, and enable it."""
    from isocenter.services import open_services  # noqa: PLC0415
    from models.installation import add_package  # noqa: PLC0415

    card = add_package(source, settings.models_dir)
    with open_services(settings) as services:
        others = [each for each in services.catalog.catalog.versions() if each.name == card.name]
        if not disabled:
            decide(services, card.name, Standing.ENABLED, card.version, reason or "added")
        elif len(others) == 1:
            decide(services, card.name, Standing.DISABLED, None, reason or "added without being enabled")
        elif services.decisions.latest().get(card.name) is None:
            # Without a decision the latest version would run: hold on to the one that runs now.
            decide(services, card.name, Standing.ENABLED, others[-2].version, f"{card.version} added")
    state = "added, not enabled" if disabled else "added and enabled"
    out.print(f"{card.name} {card.version}: {state}", markup=False, soft_wrap=True)


@models.command()
@click.argument("name")
@_version
@reason_option
@with_settings()
def enable(settings: Settings, name: str, version: str | None, reason: str) -> None:
    """Let a model run, in this version from now on; also the way back to an earlier version."""
    from isocenter.services import open_services  # noqa: PLC0415

    with open_services(settings) as services:
        card = services.catalog.catalog.get(name, version)
        decide(services, name, Standing.ENABLED, card.version, reason)
        stopped = services.catalog.why_stopped(name)
    out.print(stopped or f"{name} {card.version}: runs from now on", markup=False, soft_wrap=True)


@models.command()
@click.argument("name")
@reason_option
@with_settings()
def disable(settings: Settings, name: str, reason: str) -> None:
    """Stop a model; work that waits for it ends as withdrawn, results stay."""
    from isocenter.services import open_services  # noqa: PLC0415

    with open_services(settings) as services:
        before = services.decisions.latest().get(name)
        card = services.catalog.chosen(name, before) or services.catalog.catalog.get(name)
        decide(services, name, Standing.DISABLED, card.version, reason)
    out.print(f"{name}: does not run any more", markup=False)


@models.command()
@click.argument("name")
@_version
@reason_option
@with_settings()
def remove(settings: Settings, name: str, version: str | None, reason: str) -> None:
    """Delete a model package that was added; its results stay."""
    from isocenter.services import open_services  # noqa: PLC0415
    from models.installation import remove_package  # noqa: PLC0415

    with open_services(settings) as services:
        card = services.catalog.catalog.get(name, version)
        decision = services.decisions.latest().get(name)
        chosen = services.catalog.chosen(name, decision)
        remove_package(card, settings.models_dir)
        if chosen is not None and chosen.version == card.version:
            decide(services, name, Standing.DISABLED, None, reason or f"{card.version} removed")
    out.print(f"{card.name} {card.version}: removed", markup=False)


@models.command(name="try")
@click.argument("model")
@click.argument("paths", nargs=-1, required=True, type=_existing)
@click.option(
    "--out", "folder", type=click.Path(file_okay=False, path_type=Path), help="Write SR and SEG here."
)
@with_settings()
@_as_json
def try_model(
    settings: Settings, model: str, paths: tuple[Path, ...], folder: Path | None, *, as_json: bool
) -> None:
    """Run MODEL (a name, or the folder of a package) on the DICOM files in PATHS; nothing is stored."""
    from isocenter.trial import Trial  # noqa: PLC0415

    card = load_card(Path(model)) if (Path(model) / CARD_FILE).is_file() else _named(settings, model)
    with closing(Trial(card, settings)) as trial, err.status(f"running {card.name}"):
        tried = trial.run(paths)
        if folder is not None:
            tried.write(folder)
    if as_json:
        print_json(tried.as_json())
    else:
        _print_tried(tried)
    raise SystemExit(0 if tried.ran else 1)


def _print_tried(tried: "Tried") -> None:
    for path, reason in tried.refused:
        out.print(f"not read: {path}: {reason}", markup=False, soft_wrap=True)
    if not tried.items:
        out.print("nothing among these files is what the model is for")
    for reason in tried.missing:
        out.print(reason, markup=False, soft_wrap=True)
    for item in tried.items:
        said = item.outcome.value if item.outcome else item.state.value
        out.print(f"series {item.series}: {said} {item.reason}", markup=False, soft_wrap=True)
    if tried.findings:
        columns = ("finding", "site", "presence", "score", "measured")
        print_table(columns, [_finding_row(each) for each in tried.findings])


def _finding_row(finding: FindingRecord) -> tuple[str, ...]:
    measured = (f"{each.concept.meaning} {each.value:.4g} {each.unit.value}" for each in finding.measurements)
    return (
        finding.code.meaning,
        finding.site.meaning if finding.site else "",
        finding.presence,
        f"{finding.score.value:.3f}" if finding.score else "",
        ", ".join(measured),
    )


def _named(settings: Settings, name: str) -> Card:
    from isocenter.services import catalog_for  # noqa: PLC0415

    return catalog_for(settings).get(name)


@models.command()
@click.argument("name")
@click.option("--study", "studies", multiple=True, help="Study Instance UID; may be given several times.")
@click.option("--since", metavar="YYYYMMDD", help="Studies of this date and later.")
@click.option("--query", "conditions", multiple=True, metavar="KEY=VALUE", help="As in a search for studies.")
@click.option("--dry-run", is_flag=True, help="Only say how much work it would be.")
@click.option(
    "--per-minute", type=click.IntRange(1), default=600, show_default=True, help="Work items, at most."
)
@with_settings()
def run(
    settings: Settings,
    *,
    name: str,
    studies: tuple[str, ...],
    since: str | None,
    conditions: tuple[str, ...],
    per_minute: int,
    dry_run: bool,
) -> None:
    """Run a model on studies that are stored already, behind everything that arrives meanwhile.

    May be given again at any time: what was done, or waits, is not made twice.
    """
    from inference.backfill import matching_studies  # noqa: PLC0415
    from isocenter.backfill import Backfill, study_query  # noqa: PLC0415
    from isocenter.services import open_services  # noqa: PLC0415

    if not (studies or since or conditions):
        raise click.UsageError("say which studies: --study, --since or --query")
    query = study_query(since, conditions)
    with open_services(settings) as services, progress() as bar:
        card = services.catalog.get(name)
        chosen = studies or matching_studies(services.archive, query)
        task = bar.add_task(f"work for {name}", total=None)
        counts = Backfill(services.archive, services.work, card, per_minute=per_minute, dry_run=dry_run).over(
            chosen, lambda so_far: bar.update(task, completed=so_far)
        )
    would = "would be" if dry_run else "were"
    out.print(f"{counts.studies} studies: {counts.new} work items {would} scheduled, {counts.known} known")
