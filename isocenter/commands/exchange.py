"""Commands that move objects: to another node, or from a folder into the archive."""

from collections import Counter
from pathlib import Path
from ssl import SSLContext

import click

from isocenter.commands.commitment import commitment_options, failures, promised, references_of, tell
from isocenter.commands.console import err, out, print_json, print_table, progress
from isocenter.commands.options import with_settings
from isocenter.commands.secure import with_tls
from isocenter.importing import files_below, import_files
from isocenter.settings import Settings
from storage.instances import Origin, Refused

_paths = click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")


@click.command()
@_paths
@click.option(
    "--to", "address", default="127.0.0.1:11112", show_default=True, help="HOST:PORT of the receiver."
)
@click.option("--called", default="ISOCENTER", show_default=True, help="AE title of the receiver.")
@click.option("--calling", default="ISOCENTER-SCU", show_default=True, help="Our AE title.")
@click.option(
    "--commit", is_flag=True, help="Ask afterwards whether it is stored safely (storage commitment)."
)
@commitment_options
@_as_json
@with_tls
def send(  # noqa: PLR0917 - one for each option
    paths: tuple[Path, ...],
    address: str,
    called: str,
    calling: str,
    listen: int | None,
    wait: float,
    tls: SSLContext | None,
    *,
    commit: bool,
    as_json: bool,
) -> None:
    """Send DICOM files to a node with C-STORE, data sets unchanged."""
    from dicom_node import send as scu  # noqa: PLC0415 - pynetdicom is slow to import
    from dicom_node.scu import Remote  # noqa: PLC0415

    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise click.UsageError(f"--to must be HOST:PORT, not {address!r}")
    files = files_below(paths)
    with progress() as bar:
        task = bar.add_task(f"sending to {called}", total=len(files))
        results = scu.send(
            files, host, int(port), called, calling, progress=lambda _: bar.advance(task), tls=tls
        )
    failed = [each for each in results if not each.stored]
    stored = [each.path for each in results if each.stored] if commit else []
    remote = Remote(host, int(port), called, calling, tls=tls)
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
