"""The command line. A user's mistake ends in one line that names it, never in a traceback."""

import importlib
import sys
from importlib.metadata import version

import click

# Imported when called: `isocenter --help` must not wait for onnxruntime.
COMMANDS = {
    "serve": "isocenter.commands.run",
    "node": "isocenter.commands.run",
    "web": "isocenter.commands.run",
    "worker": "isocenter.commands.run",
    "scheduler": "isocenter.commands.run",
    "router": "isocenter.commands.run",
    "demo": "isocenter.commands.demo",
    "send": "isocenter.commands.exchange",
    "import": "isocenter.commands.exchange",
    "echo": "isocenter.commands.query",
    "find": "isocenter.commands.query",
    "get": "isocenter.commands.query",
    "move": "isocenter.commands.query",
    "commit": "isocenter.commands.commitment",
    "commitments": "isocenter.commands.commitment",
    "routes": "isocenter.commands.routes",
    "worklist": "isocenter.commands.worklist",
    "reindex": "isocenter.commands.upkeep",
    "sweep": "isocenter.commands.upkeep",
    "refusals": "isocenter.commands.upkeep",
    "deletions": "isocenter.commands.deletions",
    "undelete": "isocenter.commands.deletions",
    "rejections": "isocenter.commands.rejections",
    "doctor": "isocenter.commands.upkeep",
    "migrate": "isocenter.commands.upkeep",
    "password": "isocenter.commands.password",
    "models": "isocenter.commands.models",
    "work": "isocenter.commands.work",
    "reviews": "isocenter.commands.reviews",
    "viewer": "isocenter.commands.viewer",
    "explain": "isocenter.commands.replay",
    "replay": "isocenter.commands.replay",
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signature is click's
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(
            importlib.import_module(COMMANDS[cmd_name]), cmd_name + ("_" if cmd_name == "import" else "")
        )
        return command


@click.group(cls=_Commands)
@click.version_option(version("isocenter"))
def isocenter() -> None:
    """A DICOM archive that runs AI models on what arrives and shows radiologists what they found.

    `isocenter serve` starts everything on this machine; settings come from --config, ISOCENTER_* and options.
    """


def main() -> None:
    """Run the command line; the exit code is 1 for what went wrong and 2 for what was asked wrongly."""
    try:
        isocenter(prog_name="isocenter", standalone_mode=True)
    except Exception as error:
        said = _in_one_line(error)
        if said is None:
            raise
        sys.exit(f"isocenter: {said}")


def _in_one_line(error: Exception) -> str | None:
    """What the user is told of what went wrong; None of what should not have happened."""
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 - most commands end well, and need not wait

    from inference.reviews import ReviewError  # noqa: PLC0415
    from inference.workitems import WorkItemError  # noqa: PLC0415
    from isocenter.settings import SettingsError  # noqa: PLC0415
    from isocenter.supervisor import PartFailed  # noqa: PLC0415
    from models.errors import ModelsError  # noqa: PLC0415
    from storage.errors import StorageError  # noqa: PLC0415

    match error:
        case (
            SettingsError() | StorageError() | ModelsError() | WorkItemError() | ReviewError() | PartFailed()
        ):
            return str(error)
        case SQLAlchemyError():
            return f"the database does not answer or refuses: {str(error).splitlines()[0]}"
        case OSError():
            return f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
    return None
