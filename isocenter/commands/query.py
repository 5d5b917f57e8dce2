"""Commands that ask other archives: echo, find, get, move."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from isocenter.commands.console import out, print_json, print_table, progress
from isocenter.commands.remote import with_remote

if TYPE_CHECKING:
    from dicom_node.contexts import QueryLevel
    from dicom_node.scu import Progress, Remote, Retrieved

    Chosen = tuple[QueryLevel, dict[str, str]]

_LEVELS = ("PATIENT", "STUDY", "SERIES", "IMAGE")
_SHOWN = {
    "PATIENT": ("PatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    "STUDY": (
        "StudyDate",
        "PatientID",
        "PatientName",
        "ModalitiesInStudy",
        "StudyDescription",
        "NumberOfStudyRelatedInstances",
        "StudyInstanceUID",
    ),
    "SERIES": (
        "Modality",
        "SeriesNumber",
        "SeriesDescription",
        "NumberOfSeriesRelatedInstances",
        "SeriesInstanceUID",
    ),
    "IMAGE": ("InstanceNumber", "SOPClassUID", "SOPInstanceUID"),
}
"""Keys that are asked for where none are given."""

Command = Callable[..., Any]
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")


def _what(command: Command) -> Command:
    """Give a command the options that name what to retrieve; it receives `what`: a level, and keys."""
    options = (
        click.option("--study", required=True, help="Study Instance UID."),
        click.option("--series", help="Series Instance UID: only this series."),
        click.option("--instance", help="SOP Instance UID: only this instance."),
    )

    @functools.wraps(command)
    def wrapper(*arguments: Any, study: str, series: str | None, instance: str | None, **rest: Any) -> Any:
        named = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "SOPInstanceUID": instance}
        level = "IMAGE" if instance else "SERIES" if series else "STUDY"
        return command(*arguments, what=(level, {key: uid for key, uid in named.items() if uid}), **rest)

    for option in reversed(options):
        wrapper = option(wrapper)
    return wrapper


def _failed(error: Exception) -> SystemExit:
    return SystemExit(f"isocenter: {error}")


@click.command()
@with_remote
@_as_json
def echo(remote: "Remote", *, as_json: bool) -> None:
    """Verify that a DICOM node answers (C-ECHO)."""
    from dicom_node.requestor import AssociationFailed  # noqa: PLC0415
    from dicom_node.send import echo as c_echo  # noqa: PLC0415

    try:
        c_echo(remote.host, remote.port, remote.called_aet, remote.calling_aet, tls=remote.tls)
    except AssociationFailed as error:
        raise _failed(error) from error
    if as_json:
        print_json({"answers": True})
    else:
        out.print(f"{remote.called_aet} at {remote.host}:{remote.port} answers", markup=False)


@click.command()
@click.argument("keys", nargs=-1)
@click.option("--level", type=click.Choice(_LEVELS), default="STUDY", show_default=True)
@with_remote
@_as_json
def find(keys: tuple[str, ...], level: "QueryLevel", remote: "Remote", *, as_json: bool) -> None:
    """Search a DICOM archive (C-FIND).

    KEYS are `Keyword=value` to match, with * and ? and ranges, or `Keyword` to be told, for example
    `PatientName=Grey* StudyDate=20240101- StudyInstanceUID`.
    """
    from dicom_node import scu  # noqa: PLC0415
    from dicom_node.requestor import AssociationFailed  # noqa: PLC0415

    asked = dict.fromkeys(_SHOWN[level], "")
    given = {keyword: value for keyword, _, value in (key.partition("=") for key in keys)}
    shown = tuple(dict.fromkeys([*given, *asked])) if any(given.values()) or not given else tuple(given)
    try:
        answers = list(scu.find(remote, level, dict.fromkeys(shown, "") | given))
    except (AssociationFailed, ValueError) as error:
        raise _failed(error) from error
    if as_json:
        print_json(answers)
        return
    rows = [tuple(_cell(each, keyword) for keyword in shown) for each in answers]
    print_table(shown, rows)


def _cell(answer: dict[str, Any], keyword: str) -> str:
    from pydicom.datadict import tag_for_keyword  # noqa: PLC0415

    values = answer.get(f"{tag_for_keyword(keyword):08X}", {}).get("Value", ())
    return ", ".join(
        "=".join(value.values()) if isinstance(value, dict) else str(value) for value in values if value
    )


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@_what
@with_remote
@_as_json
def get(folder: Path, what: "Chosen", remote: "Remote", *, as_json: bool) -> None:
    """Fetch a study, series or instance into FOLDER (C-GET), one file each, data sets unchanged."""
    from dicom_node import scu  # noqa: PLC0415

    _retrieved(lambda told: scu.get(remote, *what, folder, told), as_json=as_json)


@click.command()
@click.argument("destination")
@_what
@with_remote
@_as_json
def move(destination: str, what: "Chosen", remote: "Remote", *, as_json: bool) -> None:
    """Let an archive send a study, series or instance to the AE title DESTINATION (C-MOVE)."""
    from dicom_node import scu  # noqa: PLC0415

    _retrieved(lambda told: scu.move(remote, *what, destination, told), as_json=as_json)


def _retrieved(run: "Callable[[Progress], Retrieved]", *, as_json: bool) -> None:
    from dicom_node.requestor import AssociationFailed  # noqa: PLC0415

    try:
        with progress() as bar:
            task = bar.add_task("retrieving", total=None)
            result = run(lambda done, total: bar.update(task, completed=done, total=total))
    except AssociationFailed as error:
        raise _failed(error) from error
    if as_json:
        print_json(
            {
                "status": f"{result.status:04X}",
                "reason": result.reason,
                "completed": result.completed,
                "warning": result.warning,
                "failed": result.failed,
                "failed_instances": result.failed_instances,
            }
        )
    else:
        told = f"{result.completed + result.warning} retrieved, {result.failed} failed"
        out.print(told if result.complete else f"{told}: 0x{result.status:04X} {result.reason}", markup=False)
    raise SystemExit(0 if result.complete else 1)
