"""What an administrator does by hand for users."""

import sys

import click

from isocenter.commands.console import out


@click.command()
def password() -> None:
    """Print the hash of a passcode, to be kept in the settings in its place.

    Asks for it twice on a terminal; otherwise it is the first line of standard input.
    """
    from dicom_node.passcodes import hashed  # noqa: PLC0415 - as all commands do

    if sys.stdin.isatty():
        passcode = click.prompt("Passcode", hide_input=True, confirmation_prompt=True)
    else:
        passcode = sys.stdin.readline().rstrip("\r\n")
    if not passcode:
        raise click.UsageError("the passcode is empty")
    out.print(hashed(passcode), markup=False, highlight=False, soft_wrap=True)
