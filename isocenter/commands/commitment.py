"""Storage commitment on the command line: asking others, and who asked us."""

import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from isocenter.commands.console import out, print_json, print_table
from isocenter.commands.options import with_settings
from isocenter.commands.remote import with_remote
from isocenter.settings import Settings
from storage.commitment import Reference
from storage.errors import InvalidInstance

if TYPE_CHECKING:
    from dicom_node.commitment_scu import Promised
    from dicom_node.scu import Remote

REASONS = {0x0110: "processing failure", 0x0112: "no such instance", 0x0119: "class and instance conflict"}
REASONS |= {
    0x0122: "SOP class not supported",
    0x0131: "duplicate transaction UID",
    0x0213: "resource limitation",
}
"""Failure Reason (0008,1197), PS3.3 C.14.1.1."""


_COLUMNS = ("peer", "asked", "instances", "failed", "state", "attempts", "reason", "transaction")


def commitment_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command that has a `remote` the options that say how it may answer: `listen` and `wait`."""

    @functools.wraps(command)
    def wrapper(*arguments: Any, remote: "Remote", listen: int | None, **rest: Any) -> Any:
        if listen and remote.tls and not remote.accepting:
            raise click.UsageError("--listen with --tls needs --tls-cert: the archive answers over TLS too")
        return command(*arguments, remote=remote, listen=listen, **rest)

    port = click.IntRange(1, 65535)
    listen = click.option("--listen", type=port, help="Port where the archive may answer by itself.")
    wait = click.option(
        "--wait", default=60.0, show_default=True, help="Seconds until it must have answered."
    )
    return listen(wait(wrapper))


def promised(
    remote: "Remote", references: Sequence[Reference], listen: int | None, wait: float
) -> "Promised":
    """Ask an archive; a failure ends the program with its reason."""
    from dicom_node.commitment_scu import commit as ask  # noqa: PLC0415 - pynetdicom is slow to import
    from dicom_node.requestor import AssociationFailed  # noqa: PLC0415

    try:
        return ask(remote, references, listen=("0.0.0.0", listen) if listen else None, wait=wait)  # noqa: S104 - the archive calls from elsewhere
    except AssociationFailed as error:
        raise SystemExit(f"isocenter: {error}") from error


def references_of(files: Iterable[Path]) -> list[Reference]:
    """What the files are. A file that is no instance ends the program with its name."""
    from dicom_node.send import identified  # noqa: PLC0415

    found = []
    for file in files:
        try:
            found.append(Reference(*identified(file)))
        except InvalidInstance as error:
            raise SystemExit(f"isocenter: {file}: {error}") from error
    return found


def failures(answer: "Promised") -> dict[str, str]:
    """Why instances are not committed, by SOP Instance UID."""
    failed = {each.sop: f"0x{reason:04X} {REASONS.get(reason, '')}".strip() for each, reason in answer.failed}
    return failed | {each.sop: "the answer does not name it" for each in answer.unanswered}


def tell(answer: "Promised") -> None:
    """How it ended, for people."""
    failed = failures(answer)
    out.print(f"{len(answer.committed)} of {len(answer.committed) + len(failed)} committed")
    if failed:
        print_table(("SOP Instance UID", "reason"), failed.items())


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@with_remote
@commitment_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
def commit(
    paths: tuple[Path, ...], remote: "Remote", listen: int | None, wait: float, *, as_json: bool
) -> None:
    """Ask an archive whether it keeps the instances of these files (storage commitment)."""
    from isocenter.importing import files_below  # noqa: PLC0415

    references = references_of(files_below(paths))
    answer = promised(remote, references, listen, wait)
    if as_json:
        print_json({"committed": [each.sop for each in answer.committed], "failed": failures(answer)})
    else:
        tell(answer)
    raise SystemExit(0 if answer.complete else 1)


@click.command()
@with_settings()
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
def commitments(settings: Settings, *, as_json: bool) -> None:
    """List who asked for storage commitment, and whether they were told."""
    from isocenter.services import open_services  # noqa: PLC0415

    with open_services(settings) as services:
        rows = [
            {
                "peer": each.peer,
                "transaction": each.transaction,
                "asked": each.asked_at.isoformat(timespec="seconds"),
                "instances": len(each.references),
                "failed": each.failed,
                "state": each.state,
                "attempts": each.attempts,
                "reason": each.reason,
            }
            for each in services.commitments.latest()
        ]
    if as_json:
        print_json(rows)
    else:
        print_table(_COLUMNS, [tuple(row[name] for name in _COLUMNS) for row in rows])
