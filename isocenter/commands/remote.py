"""Options of the commands that speak to other DICOM nodes: where one is, who asks it, TLS."""

import functools
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Command = Callable[..., Any]
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def with_remote(command: Command, *, flag: str = "--at") -> Command:
    """Give a command the options that name another node; it receives `remote`: a `dicom_node.scu.Remote`.

    `flag` is the one that takes its address.
    """
    options = (
        click.option(
            flag, "address", default="127.0.0.1:11112", show_default=True, help="HOST:PORT of the node."
        ),
        click.option("--called", default="ISOCENTER", show_default=True, help="AE title of the node."),
        click.option("--calling", default="ISOCENTER-SCU", show_default=True, help="Our AE title."),
        click.option("--tls", is_flag=True, help="Speak TLS."),
        click.option("--tls-ca", type=_FILE, help="Authorities to believe (PEM), in place of the system's."),
        click.option("--tls-cert", type=_FILE, help="Our certificate (PEM)."),
        click.option("--tls-key", type=_FILE, help="Private key of our certificate (PEM)."),
    )

    @functools.wraps(command)
    def wrapper(
        *arguments: Any,
        address: str,
        called: str,
        calling: str,
        tls: bool,
        tls_ca: Path | None,
        tls_cert: Path | None,
        tls_key: Path | None,
        **rest: Any,
    ) -> Any:
        from dicom_node.scu import Remote  # noqa: PLC0415 - pynetdicom is slow to import

        host, _, port = address.rpartition(":")
        if not host or not port.isdigit():
            raise click.UsageError(f"{flag} must be HOST:PORT, not {address!r}")
        context, accepting = _contexts(tls_cert, tls_key, tls_ca, asked=tls)
        remote = Remote(host.strip("[]"), int(port), called, calling, tls=context, accepting=accepting)
        return command(*arguments, remote=remote, **rest)

    for option in reversed(options):
        wrapper = option(wrapper)
    return wrapper


def _contexts(
    certificate: Path | None, key: Path | None, authorities: Path | None, *, asked: bool
) -> tuple[ssl.SSLContext | None, ssl.SSLContext | None]:
    """To call another node with, and to be called by it."""
    from dicom_node.tls import Credentials, client_context, server_context  # noqa: PLC0415 - slow to import

    if not asked:
        if certificate or key or authorities:
            raise click.UsageError("--tls-ca, --tls-cert and --tls-key need --tls")
        return None, None
    credentials = Credentials(certificate, key, authorities)
    try:
        calling = client_context(credentials)
        accepting = server_context(credentials, clients=ssl.CERT_REQUIRED) if certificate else None
    except OSError as error:
        raise click.UsageError(f"--tls-ca, --tls-cert or --tls-key cannot be used: {error}") from error
    return calling, accepting
