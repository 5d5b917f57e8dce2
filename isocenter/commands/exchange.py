"""Commands that move objects: to another node, or from a folder into the archive."""

from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from isocenter.commands.commitment import commitment_options, failures, promised, references_of, tell
from isocenter.commands.console import err, out, print_json, print_table, progress
from isocenter.commands.options import with_settings
from isocenter.commands.remote import with_remote
from isocenter.importing import files_below, import_files
from isocenter.settings import Settings
from storage.instances import Origin, Refused

if TYPE_CHECKING:
    from dicom_node.scu import Remote

_paths = click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")


@click.command()
@_paths
@partial(with_remote, flag="--to")
@click.option(
    "--commit", is_flag=True, help="Ask afterwards whether it is stored safely (storage commitment)."
)
@commitment_options
@_as_json
def send(
    paths: tuple[Path, ...],
    remote: "Remote",
    listen: int | None,
    wait: float,
    *,
    commit: bool,
    as_json: bool,
) -> None:
    """Send DICOM files to a node with C-STORE, data sets unchanged."""
    from dicom_node import send as scu  # noqa: PLC0415 - pynetdicom is slow to import

    files = files_below(paths)
    with progress() as bar:
        task = bar.add_task(f"sending to {remote.called_aet}", total=len(files))
        results = scu.send(
            files,
            remote.host,
            remote.port,
            remote.called_aet,
            remote.calling_aet,
            progress=lambda _: bar.advance(task),
            tls=remote.tls,
        )
    failed = [each for each in results if not each.stored]
    stored = [each.path for each in results if each.stored] if commit else []
    answer = promised(remote, references_of(stored), listen, wait) if stored else None
    if as_json:
        lines = [{"file": str(r.path), "stored": r.stored, "reason": r.reason} for r in results]
        print_json({"sent": lines, "not_committed": failures(answer)} if answer else lines)
    else:
        out.print(f"{len(results) - len(failed)} of {len(results)} stored")
        if failed:
            print_table(("file", "reason"), [(each.path, each.reason) for each in failed])
        if answer:
            tell(answer)
    raise SystemExit(1 if failed or (answer and not answer.complete) else 0)


@click.command(name="import")
@_paths
@with_settings()
@_as_json
def import_(settings: Settings, paths: tuple[Path, ...], *, as_json: bool) -> None:
    """Store DICOM files straight into the archive; nothing needs to run."""
    from isocenter.services import open_services  # noqa: PLC0415

    files = files_below(paths)
    refused: list[tuple[Path, str]] = []
    counts: Counter[str] = Counter()
    with open_services(settings) as services, progress() as bar:
        task = bar.add_task("importing", total=len(files))
        with services.archive.delivery(Origin("import", peer="isocenter import")) as delivery:
            for path, outcome in import_files(files, services.spool, delivery):
                bar.advance(task)
                if isinstance(outcome, Refused):
                    refused.append((path, str(outcome.error)))
                else:
                    counts["known" if outcome.duplicate else "stored"] += 1
    if as_json:
        print_json({**counts, "refused": [{"file": str(path), "reason": reason} for path, reason in refused]})
    else:
        out.print(f"{counts['stored']} stored, {counts['known']} were there already, {len(refused)} refused")
        if refused:
            print_table(("file", "reason"), refused)
            err.print("Refused files were not changed and are where they were.")
    raise SystemExit(1 if refused else 0)
