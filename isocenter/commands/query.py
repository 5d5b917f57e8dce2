"""Commands that ask other archives: echo, find, get, move."""

from collections.abc import Callable
from pathlib import Path
from ssl import SSLContext
from typing import TYPE_CHECKING, Any

import click

from isocenter.commands.console import out, print_json, print_table, progress
from isocenter.commands.secure import with_tls

if TYPE_CHECKING:
    from dicom_node.scu import Progress, Remote, Retrieved

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


def _remote(command: Command) -> Command:
    """Give a command the options that name the archive."""
    options = (
        click.option(
            "--at",
            "address",
            default="127.0.0.1:11112",
            show_default=True,
            help="HOST:PORT of the archive.",
        ),
        click.option("--called", default="ISOCENTER", show_default=True, help="AE title of the archive."),
        click.option("--calling", default="ISOCENTER-SCU", show_default=True, help="Our AE title."),
        click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts."),
    )
    command = with_tls(command)
    for option in reversed(options):
        command = option(command)
    return command


def _what(command: Command) -> Command:
    """Give a command the options that name what to retrieve."""
    options = (
        click.option("--study", required=True, help="Study Instance UID."),
        click.option("--series", help="Series Instance UID: only this series."),
        click.option("--instance", help="SOP Instance UID: only this instance."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def remote_at(address: str, called: str, calling: str, tls: SSLContext | None) -> "Remote":
    """The archive that a command line names."""
    from dicom_node.scu import Remote  # noqa: PLC0415 - pynetdicom is slow to import

    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise click.UsageError(f"--at must be HOST:PORT, not {address!r}")
    return Remote(host.strip("[]"), int(port), called, calling, tls=tls)


def _failed(error: Exception) -> SystemExit:
    return SystemExit(f"isocenter: {error}")


@click.command()
@_remote
def echo(address: str, called: str, calling: str, tls: SSLContext | None, *, as_json: bool) -> None:
    """Verify that a DICOM node answers (C-ECHO)."""
    from dicom_node.requestor import AssociationFailed  # noqa: PLC0415
    from dicom_node.send import echo as c_echo  # noqa: PLC0415

    remote = remote_at(address, called, calling, tls)
    try:
        c_echo(remote.host, remote.port, remote.called_aet, remote.calling_aet, tls=tls)
    except AssociationFailed as error:
        raise _failed(error) from error
    if as_json:
        print_json({"answers": True})
    else:
        out.print(f"{called} at {address} answers", markup=False)


@click.command()
@click.argument("keys", nargs=-1)
@click.option("--level", type=click.Choice(_LEVELS), default="STUDY", show_default=True)
@_remote
def find(  # noqa: PLR0917 - one for each option
    keys: tuple[str, ...],
    level: str,
    address: str,
    called: str,
    calling: str,
    tls: SSLContext | None,
    *,
    as_json: bool,
) -> None:
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
        answers = list(
            scu.find(remote_at(address, called, calling, tls), level, dict.fromkeys(shown, "") | given)  # type: ignore[arg-type] # a choice of click
        )
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
@_remote
def get(  # noqa: PLR0917 - one for each option
    folder: Path,
    study: str,
    series: str | None,
    instance: str | None,
    address: str,
    called: str,
    calling: str,
    tls: SSLContext | None,
    *,
    as_json: bool,
) -> None:
    """Fetch a study, series or instance into FOLDER (C-GET), one file each, data sets unchanged."""
    from dicom_node import scu  # noqa: PLC0415

    remote = remote_at(address, called, calling, tls)
    level, keys = _keys(study, series, instance)
    _retrieved(lambda told: scu.get(remote, level, keys, folder, told), as_json=as_json)


@click.command()
@click.argument("destination")
@_what
@_remote
def move(  # noqa: PLR0917 - one for each option
    destination: str,
    study: str,
    series: str | None,
    instance: str | None,
    address: str,
    called: str,
    calling: str,
    tls: SSLContext | None,
    *,
    as_json: bool,
) -> None:
    """Let an archive send a study, series or instance to the AE title DESTINATION (C-MOVE)."""
    from dicom_node import scu  # noqa: PLC0415

    remote = remote_at(address, called, calling, tls)
    level, keys = _keys(study, series, instance)
    _retrieved(lambda told: scu.move(remote, level, keys, destination, told), as_json=as_json)


def _keys(study: str, series: str | None, instance: str | None) -> tuple[Any, dict[str, str]]:
    named = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "SOPInstanceUID": instance}
    level = "IMAGE" if instance else "SERIES" if series else "STUDY"
    return level, {keyword: uid for keyword, uid in named.items() if uid}


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
