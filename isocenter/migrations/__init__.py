"""The tables of one database, made and brought up to date; one history for all packages."""

from importlib.resources import as_file, files
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from storage.sql.engine import connect, reading, writing


def upgrade(engine_or_url: Engine | str) -> None:
    """Make the tables, or bring them to what this version of the program needs; harmless when they are.

    Several processes may do so at once: one does it, the others wait.

    Raises:
        ValueError: the URL names no database we know, or the database is newer than this program.
        StorageDown: the database did not answer.
        StorageFull: it has no room left.
    """
    if isinstance(engine_or_url, Engine):
        _upgrade(engine_or_url)
        return
    engine = connect(engine_or_url)
    try:
        _upgrade(engine)
    finally:
        engine.dispose()


def _upgrade(engine: Engine) -> None:
    with as_file(files(__package__)) as folder:
        config = _config(folder)
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        with writing(engine, alone=True) as connection:
            there = MigrationContext.configure(connection).get_current_revision()
            if there is not None and there not in known:
                raise ValueError(f"the database is at {there}, which this older program does not know")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def current(engine: Engine) -> str | None:
    """The last migration the database has seen; None when it is empty. Raises `StorageDown`."""
    with reading(engine) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def is_current(engine: Engine) -> bool:
    """The database has seen the last migration of this program. Raises `StorageDown`."""
    with as_file(files(__package__)) as folder:
        return current(engine) == ScriptDirectory.from_config(_config(folder)).get_current_head()


def _config(folder: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    return config
