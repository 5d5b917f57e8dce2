"""Options of the commands that speak to other nodes: TLS."""

import functools
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Command = Callable[..., Any]
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def with_tls(command: Command) -> Command:
    """Give a command `--tls` and the files it needs; it receives `tls`: a context, or None."""
    options = (
        click.option("--tls", is_flag=True, help="Speak TLS."),
        click.option("--tls-ca", type=_FILE, help="Authorities to believe (PEM), in place of the system's."),
        click.option("--tls-cert", type=_FILE, help="Our certificate (PEM)."),
        click.option("--tls-key", type=_FILE, help="Private key of our certificate (PEM)."),
    )

    @functools.wraps(command)
    def wrapper(
        *arguments: Any,
        tls: bool,
        tls_ca: Path | None,
        tls_cert: Path | None,
        tls_key: Path | None,
        **rest: Any,
    ) -> Any:
        context = _context(tls_cert, tls_key, tls_ca, asked=tls)
        return command(*arguments, tls=context, **rest)

    for option in reversed(options):
        wrapper = option(wrapper)
    return wrapper


def _context(
    certificate: Path | None, key: Path | None, authorities: Path | None, *, asked: bool
) -> ssl.SSLContext | None:
    from dicom_node.tls import Credentials, client_context  # noqa: PLC0415 - slow to import

    if not asked:
        if certificate or key or authorities:
            raise click.UsageError("--tls-ca, --tls-cert and --tls-key need --tls")
        return None
    try:
        return client_context(Credentials(certificate, key, authorities))
    except OSError as error:
        raise click.UsageError(f"--tls-ca, --tls-cert or --tls-key cannot be used: {error}") from error
