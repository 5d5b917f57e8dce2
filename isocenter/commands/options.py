"""Options that commands share, and the settings they make."""

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from isocenter.part import configure_logging
from isocenter.settings import DELIMITER, PREFIX, Settings, load_settings

_COMMON = (
    click.option(
        "--config",
        type=click.Path(dir_okay=False, path_type=Path),
        envvar="ISOCENTER_CONFIG",
        help="Settings file (TOML).",
    ),
    click.option(
        "--data", type=click.Path(file_okay=False, path_type=Path), help="Folder for objects and index."
    ),
    click.option(
        "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="What to log."
    ),
)
_LISTENING = {
    "--dicom-port": ("node.port", click.IntRange(0, 65535), "Port of the DICOM node; 0 picks a free one."),
    "--http-port": ("web.port", click.IntRange(0, 65535), "Port of the web server; 0 picks a free one."),
    "--host": ("host", str, "Address to listen on."),
    "--aet": ("node.aet", str, "AE title of the node."),
}


@dataclass(frozen=True, slots=True)
class SettingsSource:
    """Where the settings of a command come from, to read them again."""

    file: Path | None
    overrides: Mapping[str, Any]

    def read(self) -> Settings:
        """What they are now. Raises `SettingsError`."""
        return load_settings(self.file, os.environ, self.overrides)


def with_settings(
    *listening: str, for_children: bool = False, for_reading_again: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command `--config`, `--data`, `--log-level` and the `listening` options; it receives `settings`.

    With `for_children` it also receives `environment`: variables that give child processes the same settings;
    with `for_reading_again`, `source`.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def wrapper(*arguments: Any, config: Path | None, **options: Any) -> Any:
            overrides: dict[str, Any] = {"data": options.pop("data"), "log_level": options.pop("log_level")}
            for name in listening:
                overrides[_LISTENING[name][0]] = options.pop(name.removeprefix("--").replace("-", "_"))
            settings = load_settings(config, os.environ, overrides)
            configure_logging(settings.log_level)
            if for_reading_again:
                options["source"] = SettingsSource(config, overrides)
            if for_children:
                options["environment"] = _environment(config, overrides)
            return command(*arguments, settings=settings, **options)

        for name in reversed(listening):
            _, kind, text = _LISTENING[name]
            wrapper = click.option(name, type=kind, help=text)(wrapper)
        for option in reversed(_COMMON):
            wrapper = option(wrapper)
        return wrapper

    return decorate


def _environment(config: Path | None, overrides: Mapping[str, Any]) -> dict[str, str]:
    """Variables that give a child process the settings of this command line."""
    variables = {
        PREFIX + key.upper().replace(".", DELIMITER): str(value)
        for key, value in overrides.items()
        if value is not None
    }
    return variables | ({"ISOCENTER_CONFIG": str(config.absolute())} if config else {})
