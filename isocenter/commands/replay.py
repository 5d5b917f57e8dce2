"""Commands about where a result came from."""

import click

from isocenter.commands.console import out, print_json
from isocenter.commands.options import with_settings
from isocenter.settings import Settings

_result = click.argument("result_uid")


@click.command()
@_result
@with_settings()
def explain(settings: Settings, result_uid: str) -> None:
    """Tell where the report RESULT_UID came from, as JSON.

    Inputs with their digests, model and card, runtime and provider, timings, findings, and who reviewed them.
    """
    from isocenter.services import open_services  # noqa: PLC0415

    with open_services(settings) as services:
        print_json(services.replay().explained(result_uid))


@click.command()
@_result
@with_settings()
def replay(settings: Settings, result_uid: str) -> None:
    """Run the model of the report RESULT_UID again, and say what differs; nothing is stored.

    Exits with 1 when anything differs.
    """
    from isocenter.services import open_services  # noqa: PLC0415
    from models.runtime import Runtime  # noqa: PLC0415

    inference = settings.inference
    runtime = Runtime(threads=inference.threads, timeout_s=inference.timeout_seconds)
    with open_services(settings) as services:
        differences = services.replay().differences(result_uid, runtime)
    for each in differences:
        out.print(each, markup=False, soft_wrap=True)
    if not differences:
        out.print("equal, byte for byte")
    raise SystemExit(1 if differences else 0)
