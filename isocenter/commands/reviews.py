"""Commands about what people said of findings."""

import os
import secrets
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from isocenter.commands.console import err, out, print_json
from isocenter.commands.options import with_settings
from isocenter.settings import Settings, SettingsError

KEY_BYTES = 32


@click.group()
def reviews() -> None:
    """What people said of what models found."""


@reviews.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--model", help="Only what this model found, and what people added where it looked.")
@click.option(
    "--since", type=click.DateTime(["%Y%m%d"]), metavar="YYYYMMDD", help="Reviewed this day or later."
)
@click.option(
    "--key",
    "key_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="What pseudonyms are made with; <data>/pseudonyms.key unless given, made when it is not there.",
)
@click.option("--doubtful", is_flag=True, help="Also pictures in which writing may name the patient.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
@with_settings()
def export(
    settings: Settings,
    *,
    folder: Path,
    model: str | None,
    since: datetime | None,
    key_file: Path | None,
    doubtful: bool,
    as_json: bool,
) -> None:
    """Write reviewed cases to FOLDER as a training set: de-identified images, masks, reports, labels.

    With the same key the same patient, study and image get the same pseudonyms in every export.
    """
    from inference.training.export import TrainingSet  # noqa: PLC0415 - reports are slow to import
    from inference.training.pseudonyms import Pseudonyms  # noqa: PLC0415
    from isocenter.services import open_services  # noqa: PLC0415

    day = since.replace(tzinfo=UTC) if since else None
    with open_services(settings) as services, err.status("writing cases") as status:
        pseudonyms = Pseudonyms(_key(key_file or settings.data / "pseudonyms.key"))
        training = TrainingSet(services.archive, services.reviews, pseudonyms, folder, doubtful=doubtful)
        done = training.write(
            services.history.studies(day),
            model,
            day,
            lambda so_far: status.update(f"writing cases: {so_far.cases}"),
        )
    if as_json:
        print_json(asdict(done))
        return
    out.print(f"{done.cases} cases, {done.images} images, {done.findings} findings")
    for what, told in (("left out", done.left_out), ("look at", done.warnings)):
        for each in told:
            out.print(f"{what}: {each['case']} {each['uid']}: {each['reason']}", markup=False, soft_wrap=True)


def _key(path: Path) -> bytes:
    """The secret in a file, which is made when it is not there."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
    except FileExistsError:
        pass
    key = path.read_text(encoding="utf-8").strip().encode()
    if len(key) < KEY_BYTES:
        raise SettingsError(f"{path}: a key has at least {KEY_BYTES} characters")
    return key
