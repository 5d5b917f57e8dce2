"""Fixtures that several packages use. A missing server or missing test data skips loudly, and fails in CI."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

import pytest
from sqlalchemy import Engine

from isocenter import migrations
from storage.sql.engine import connect
from tests.support import servers

ROOT = Path(__file__).parents[1]
Running = tuple[ExitStack, Path]


def missing(what: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(f"{what} (in CI this must be there)")
    pytest.skip(what)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real DICOM files, models and hostile input."""
    folder = Path(os.environ.get("ISOCENTER_TEST_DATA", ROOT / ".." / "shared" / "data")).resolve()
    if not folder.is_dir():
        missing(f"TEST DATA ABSENT: {folder} is not a folder; set ISOCENTER_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def _servers() -> Iterator[Running]:
    # Not below pytest's folder: a second run closes that to others than root, and PostgreSQL is not root.
    with TemporaryDirectory(prefix="isocenter-servers-") as folder, ExitStack() as stack:
        yield stack, Path(folder)


def started(running: Running, server: Callable[[Path], AbstractContextManager[str]]) -> str:
    """Where `server` listens, until the end of the session."""
    stack, folder = running
    try:
        return stack.enter_context(server(folder / server.__name__))
    except servers.MissingServer as error:
        missing(str(error))


@pytest.fixture(scope="session")
def postgres_server(_servers: Running) -> str:
    return started(_servers, servers.postgres)


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """SQLAlchemy URL of a fresh, empty PostgreSQL database."""
    with servers.postgres_database(postgres_server) as (_, url):
        yield url


@pytest.fixture(scope="session")
def empty_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite database with all tables and no rows, to be copied: making tables takes half a second."""
    path = tmp_path_factory.mktemp("index") / "index.sqlite"
    migrations.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def _empty_postgres(postgres_server: str) -> Iterator[str]:
    """Name of a PostgreSQL database with all tables and no rows, to be copied."""
    with servers.postgres_database(postgres_server) as (name, url):
        migrations.upgrade(url)
        yield name


@pytest.fixture
def postgres_index(postgres_server: str, _empty_postgres: str) -> Iterator[str]:
    """SQLAlchemy URL of a PostgreSQL database with all tables and no rows."""
    with servers.postgres_database(postgres_server, _empty_postgres) as (_, url):
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database with all tables and no rows."""
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_index")
    else:
        url = f"sqlite:///{shutil.copy(request.getfixturevalue('empty_index'), tmp_path)}"
    engine = connect(url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def redis_url(_servers: Running) -> str:
    return started(_servers, servers.redis)


@pytest.fixture(scope="session")
def s3_endpoint(_servers: Running) -> str:
    return started(_servers, servers.rgw)


@pytest.fixture
def s3(s3_endpoint: str) -> dict[str, str]:
    """Endpoint, keys and a fresh bucket of a real S3 server."""
    return servers.new_bucket(s3_endpoint)


@pytest.fixture
def free_port() -> int:
    return servers.free_ports()[0]
