"""Commands about a version that is to take the place of another: shadow, compare, promote, rollback."""

import getpass
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from inference.comparison import Comparison
from inference.governance import Standing
from isocenter.commands.console import out, print_json, print_table
from isocenter.commands.options import with_settings
from isocenter.model_decisions import put_in_shadow
from isocenter.settings import Settings

if TYPE_CHECKING:
    from isocenter.services import Services

reason_option = click.option("--reason", default="", help="Why; kept with the decision.")
_name = click.argument("name")


def decide(services: "Services", name: str, standing: Standing, version: str | None, reason: str) -> None:
    """Record a decision in the name of whoever is logged in."""
    services.decisions.record(name, standing, by=getpass.getuser(), version=version, reason=reason)


@click.command()
@_name
@click.option("--version", help="The version to try.")
@click.option("--end", is_flag=True, help="No version in shadow any more.")
@reason_option
@with_settings()
def shadow(settings: Settings, name: str, version: str | None, reason: str, *, end: bool) -> None:
    """Run a version of a model beside the one that counts, for comparison alone: nobody sees its results."""
    from isocenter.services import open_services  # noqa: PLC0415 - other commands need no runtime

    if bool(version) == end:
        raise click.UsageError("say which: --version, or --end")
    with open_services(settings) as services:
        current = services.catalog.get(name)
        if version is not None:
            who = getpass.getuser()
            put_in_shadow(services.catalog, services.decisions, name, version, by=who, reason=reason)
        else:
            decide(services, name, Standing.SHADOW, None, reason)
    said = f"{version} runs in shadow of {current.version}" if version else "no version in shadow any more"
    out.print(f"{name}: {said}", markup=False, soft_wrap=True)


@click.command()
@_name
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="Only work of this day (UTC) and later.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
@with_settings()
def compare(settings: Settings, name: str, since: datetime | None, *, as_json: bool) -> None:
    """Compare the version in shadow with the one that runs, on the images that both were given."""
    from isocenter.services import open_services  # noqa: PLC0415

    with open_services(settings) as services:
        compared = services.comparison(name, since.replace(tzinfo=UTC) if since else None)
    if as_json:
        print_json(compared.as_json())
    else:
        _print_comparison(compared)


def _print_comparison(compared: Comparison) -> None:
    out.print(f"{compared.model}: {compared.shadow} in shadow of {compared.current}", markup=False)
    for which, outcomes in compared.outcomes.items():
        counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
        out.print(f"{which}: {counts or 'nothing yet'}", markup=False)
    if compared.agreement is None:
        return
    out.print(
        f"agree on what is present: {compared.agreement:.1%} of {compared.compared} inputs", markup=False
    )
    columns = ("finding", "both", "only current", "only shadow", "neither", "agreement")
    rows = [
        (
            each.code.meaning,
            each.both,
            each.only_current,
            each.only_shadow,
            each.neither,
            f"{each.agreement:.1%}",
        )
        for each in compared.presence
    ]
    print_table(columns, rows)
    if compared.measurements:
        columns = ("measurement", "unit", "inputs", "mean difference", "mean absolute", "largest")
        print_table(
            columns,
            [
                (each.of, each.unit, each.inputs, *_short(each.mean, each.mean_absolute, each.largest))
                for each in compared.measurements
            ],
        )
    steps = sorted({step for means in compared.seconds.values() for step in means})
    steps_taken = [(step, *(_seconds(means, step) for means in compared.seconds.values())) for step in steps]
    print_table(("seconds", *compared.seconds), steps_taken)
    for pair in compared.examples:
        out.print(f"differ on study {pair.study}, series {pair.series}", markup=False, soft_wrap=True)


def _short(*values: float) -> tuple[str, ...]:
    return tuple(f"{value:.4g}" for value in values)


def _seconds(means: Mapping[str, float], step: str) -> str:
    value = means.get(step)
    return "" if value is None else f"{value:.3f}"


@click.command()
@_name
@reason_option
@with_settings()
def promote(settings: Settings, name: str, reason: str) -> None:
    """Let the version in shadow take the place of the one that runs."""
    from isocenter.services import open_services  # noqa: PLC0415

    with open_services(settings) as services:
        card = services.catalog.in_shadow(name)
        decide(services, name, Standing.ENABLED, card.version, reason or "promoted")
    out.print(f"{name} {card.version}: runs from now on", markup=False, soft_wrap=True)


@click.command()
@_name
@reason_option
@with_settings()
def rollback(settings: Settings, name: str, reason: str) -> None:
    """Go back to the version that was decided on before the one that runs."""
    from isocenter.services import open_services  # noqa: PLC0415

    with open_services(settings) as services:
        card = services.catalog.before(name)
        decide(services, name, Standing.ENABLED, card.version, reason or "rolled back")
    out.print(f"{name} {card.version}: runs from now on", markup=False, soft_wrap=True)
