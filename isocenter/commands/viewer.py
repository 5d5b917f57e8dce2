"""Commands for the OHIF viewer that this server can serve."""

from contextlib import nullcontext
from pathlib import Path

import click

from isocenter.commands.console import err, out
from isocenter.commands.options import with_settings
from isocenter.settings import Settings
from isocenter.viewer import PACKAGE, VERSION, ViewerNotInstalled, install, package_of_registry


@click.group()
def viewer() -> None:
    """The OHIF viewer at /viewer."""


@viewer.command(name="install")
@click.option(
    "--from",
    "source",
    type=click.Path(exists=True, path_type=Path),
    help="A package file (.tgz) or a folder of built pages, in place of npm's registry.",
)
@click.option("--version", default=VERSION, show_default=True, help=f"Of {PACKAGE} in npm's registry.")
@with_settings()
def install_viewer(settings: Settings, source: Path | None, version: str) -> None:
    """Install OHIF (about 200 MB): this server serves it at /viewer from then on, also while it runs."""
    where = nullcontext(source) if source else package_of_registry(version)
    try:
        with err.status(f"getting {PACKAGE}") as status, where as package:
            status.update("preparing it")
            count = install(package, settings.viewer_dir)
    except ViewerNotInstalled as error:
        raise click.ClickException(str(error)) from None
    out.print(f"{count} files in {settings.viewer_dir}; open it at /viewer", markup=False, soft_wrap=True)
