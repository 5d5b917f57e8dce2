"""Options of the commands that speak to other nodes: TLS."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Command = Callable[..., Any]
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def with_tls(command: Command) -> Command:
    """Give a command `--tls` and the files it needs; it receives `tls`, `tls_ca`, `tls_cert` and `tls_key`."""
    options = (
        click.option("--tls", is_flag=True, help="Speak TLS."),
        click.option("--tls-ca", type=_FILE, help="Authorities to believe (PEM), in place of the system's."),
        click.option("--tls-cert", type=_FILE, help="Our certificate (PEM)."),
        click.option("--tls-key", type=_FILE, help="Private key of our certificate (PEM)."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def tls_context(options: dict[str, Any]) -> ssl.SSLContext | None:
    """What the options of `with_tls` ask for; None without `--tls`."""
    from dicom_node.tls import Credentials, client_context  # noqa: PLC0415 - slow to import

    if not options["tls"]:
        if options["tls_ca"] or options["tls_cert"] or options["tls_key"]:
            raise click.UsageError("--tls-ca, --tls-cert and --tls-key need --tls")
        return None
    try:
        return client_context(Credentials(options["tls_cert"], options["tls_key"], options["tls_ca"]))
    except OSError as error:
        raise click.UsageError(f"--tls-ca, --tls-cert or --tls-key cannot be used: {error}") from error
