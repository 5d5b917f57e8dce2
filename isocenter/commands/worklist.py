"""The modality worklist on the command line."""

import json
from itertools import islice
from pathlib import Path
from typing import Any

import click

from isocenter.commands.console import out, print_json, print_table
from isocenter.commands.options import with_settings
from isocenter.settings import Settings
from storage.keywords import Unreadable, from_keywords, to_keywords
from storage.worklist import InvalidStep, TakenStep, nested, scheduled_step

_SEQUENCE = "ScheduledProcedureStepSequence"
_SHOWN = ("ScheduledProcedureStepStartDate", "ScheduledProcedureStepStartTime", "Modality")
_SHOWN_TOO = ("ScheduledStationAETitle", "PatientID", "PatientName", "AccessionNumber")
_COLUMNS = (
    *_SHOWN,
    *_SHOWN_TOO,
    "ScheduledProcedureStepStatus",
    "ScheduledProcedureStepID",
    "StudyInstanceUID",
)


@click.group()
def worklist() -> None:
    """What modalities are told to do: the modality worklist."""


@worklist.command()
@click.argument("attributes", nargs=-1)
@click.option("--file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A step as JSON.")
@with_settings()
def add(settings: Settings, attributes: tuple[str, ...], file: Path | None) -> None:
    """Schedule a step.

    ATTRIBUTES are `Keyword=value`, for example `PatientID=1 PatientName=Doe^Jane Modality=CT
    ScheduledStationAETitle=CT1 ScheduledProcedureStepStartDate=20300102 ScheduledProcedureStepStartTime=0930
    ScheduledProcedureStepDescription=Chest`.
    """
    from isocenter.services import open_services  # noqa: PLC0415

    try:
        readable = json.loads(file.read_text(encoding="utf-8")) if file else {}
        step = scheduled_step(from_keywords(readable | nested(attributes)))
        with open_services(settings) as services:
            services.worklist.add(step)
    except (InvalidStep, TakenStep, Unreadable, ValueError) as error:
        raise SystemExit(f"isocenter: {error}") from error
    out.print(f"{step.study} {step.step_id}", markup=False)


@worklist.command(name="list")
@click.argument("keys", nargs=-1)
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
@with_settings()
def list_(settings: Settings, keys: tuple[str, ...], limit: int, *, as_json: bool) -> None:
    """List steps by their start; what is over only by its status.

    KEYS are `Keyword=value`, with * and ? and ranges.
    """
    from isocenter.services import open_services  # noqa: PLC0415

    try:
        identifier = from_keywords(nested(keys))
    except Unreadable as error:
        raise SystemExit(f"isocenter: {error}") from error
    with open_services(settings) as services:
        steps = [to_keywords(each.attributes) for each in islice(services.worklist.search(identifier), limit)]
    if as_json:
        print_json(steps)
    else:
        print_table([_short(name) for name in _COLUMNS], [_row(step) for step in steps])


def _short(keyword: str) -> str:
    return keyword.removeprefix("ScheduledProcedureStep").removeprefix("Scheduled")


def _row(step: dict[str, Any]) -> list[object]:
    told = step | step[_SEQUENCE][0]
    return [", ".join(map(str, value)) if isinstance(value := told.get(c), list) else value for c in _COLUMNS]


@worklist.command()
@click.argument("study")
@click.argument("step")
@with_settings()
def remove(settings: Settings, study: str, step: str) -> None:
    """Take a step off: STUDY is its Study Instance UID, STEP its Scheduled Procedure Step ID."""
    from isocenter.services import open_services  # noqa: PLC0415

    with open_services(settings) as services:
        if not services.worklist.remove(study, step):
            raise SystemExit(f"isocenter: no step {step} of study {study}")
