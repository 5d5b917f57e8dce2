"""Commands about work items: what models do, and what a person wants of them."""

import click

from inference.workitems import IllegalTransition, Priority, State, UnknownWorkItem, WorkItem
from isocenter.commands.console import out, print_json, print_table
from isocenter.commands.options import with_settings
from isocenter.settings import Settings

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
_uids = click.argument("uids", metavar="UID…", nargs=-1, required=True)


@click.group()
def work() -> None:
    """The work items: which model runs on what, and how it ended."""


@work.command(name="list")
@with_settings()
@click.option("--study", help="Study Instance UID.")
@click.option("--model", help="Name of a model.")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.value for state in State]),
    help="Repeatable.",
)
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@_as_json
def list_work(
    settings: Settings,
    study: str | None,
    model: str | None,
    states: tuple[str, ...],
    limit: int,
    *,
    as_json: bool,
) -> None:
    """List work items, newest first."""
    from isocenter.services import open_services  # noqa: PLC0415

    with open_services(settings) as services:
        wanted = [State(state) for state in states]
        items = services.work.list(states=wanted, study=study, model=model, limit=limit)
    if as_json:
        print_json([item.as_json() for item in items])
        return
    print_table(("created", "uid", "work", "state", "outcome", "reason"), [_row(item) for item in items])


def _row(item: WorkItem) -> tuple[str, ...]:
    state = f"{item.state.value} {item.progress} %" if item.state is State.IN_PROGRESS else item.state.value
    outcome = item.outcome.value if item.outcome else ""
    return f"{item.created_at:%Y-%m-%d %H:%M:%S}", item.uid, item.label, state, outcome, item.reason


@work.command()
@with_settings()
@click.argument("uid")
@click.option("--ups", is_flag=True, help="The procedure step as others see it, in the DICOM JSON Model.")
def show(settings: Settings, uid: str, *, ups: bool) -> None:
    """Show everything about the work item UID as JSON."""
    from isocenter.services import open_services  # noqa: PLC0415

    with open_services(settings) as services:
        print_json(services.steps.retrieve(uid) if ups else services.work.get(uid).as_json())


@work.command()
@with_settings()
@_uids
@_as_json
def retry(settings: Settings, uids: tuple[str, ...], *, as_json: bool) -> None:
    """Try work items again: at once when they wait, as new ones when they ended without results."""
    from isocenter.services import open_services  # noqa: PLC0415

    with open_services(settings) as services:
        items = [services.work.again(uid) for uid in uids]
    if as_json:
        print_json([item.as_json() for item in items])
        return
    for item in items:
        out.print(f"{item.uid} {item.label}: {item.state.value}", markup=False, soft_wrap=True)


@work.command()
@with_settings()
@_uids
@click.option("--reason", default="canceled on the command line", show_default=True)
@click.option("--force", is_flag=True, help="Do not ask an outside performer, who may be gone: cancel.")
def cancel(settings: Settings, uids: tuple[str, ...], reason: str, *, force: bool) -> None:
    """Cancel work items; whoever outside performs one is asked to."""
    from inference.ups.replies import UNKNOWN_STEP  # noqa: PLC0415
    from isocenter.services import open_services  # noqa: PLC0415

    request = {"00741238": {"vr": "LT", "Value": [reason]}}
    with open_services(settings) as services:
        for uid in uids:
            reply = services.steps.request_cancel(uid, request, settings.node.aet, force=force)
            if reply.status == UNKNOWN_STEP:
                raise UnknownWorkItem(uid)
            if reply.comment:
                raise IllegalTransition(f"work item {uid}: {reply.comment}")
            asked = services.work.get(uid).state is State.IN_PROGRESS
            said = "its performer is asked to cancel it" if asked else "canceled"
            out.print(f"{uid} {said}", markup=False, soft_wrap=True)


@work.command(name="run")
@with_settings()
@click.argument("model")
@click.argument("study")
@click.argument("series", required=False)
@click.option(
    "--priority",
    type=click.Choice([each.name.lower() for each in Priority]),
    default="high",
    show_default=True,
)
@_as_json
def run_model(
    settings: Settings, model: str, study: str, series: str | None, priority: str, *, as_json: bool
) -> None:
    """Run MODEL on the study STUDY, or on one SERIES of it (UIDs)."""
    from isocenter.services import open_services  # noqa: PLC0415

    with open_services(settings) as services:
        ordered = services.orders().run(model, study, series, Priority[priority.upper()])
    if as_json:
        print_json([each.item.as_json() | {"new": each.is_new} for each in ordered])
        return
    for each in ordered:
        known = "" if each.is_new else " (known already)"
        out.print(f"{each.item.uid} {each.item.state.value}{known}", markup=False, soft_wrap=True)
