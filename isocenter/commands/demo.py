"""The command `isocenter demo`."""

from pathlib import Path

import click


@click.command()
@click.option("--once", is_flag=True, help="Stop after the result instead of serving on.")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="Keep the demo's data here.")
@click.option("--dicom-port", type=click.IntRange(0, 65535), default=11112, show_default=True)
@click.option("--http-port", type=click.IntRange(0, 65535), default=8080, show_default=True)
def demo(data: Path | None, dicom_port: int, http_port: int, *, once: bool) -> None:
    """Start everything, send a sample chest CT over DICOM, and show what the models found in it.

    Exits with 1 when the findings do not match what the sample is known to contain.
    """
    from isocenter.demo import run_demo  # noqa: PLC0415 - imports every part

    raise SystemExit(0 if run_demo(data, dicom_port, http_port, once=once) else 1)
