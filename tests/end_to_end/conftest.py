"""Running systems, once on a laptop's parts and once scaled out; sample studies made once for all tests."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sample_studies.chest import ChestPhantom
from sample_studies.dicom import Patient, write_ct
from sample_studies.samples import ensure_sample
from tests.support.servers import new_bucket, postgres_database
from tests.support.system import System, scaled_out, served

KINDS = ("embedded", "scaled out")
SERVERS = ("postgres_server", "redis_url", "s3_endpoint")


@pytest.fixture(scope="session")
def samples() -> Path:
    """A folder that keeps sample studies between runs, as the demo does."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "isocenter" / "samples"


@pytest.fixture(scope="session")
def chest_ct(samples: Path) -> list[Path]:
    return ensure_sample("red-triangle", samples)


@pytest.fixture(scope="session")
def small_ct(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """200 small slices, so that a push lasts long enough to be hit."""
    phantom = ChestPhantom(slices=200, spacing=1.5, rows=128, columns=128, seed=11)
    return write_ct(
        phantom,
        tmp_path_factory.mktemp("small-ct"),
        Patient("Grey^Hexagon", "KILL-1", "O", "19700101", "KILL1"),
    )


@contextmanager
def running(name: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[System]:
    if name == "embedded":
        with served(folder) as (system, _):
            yield system
        return
    postgres, redis, s3 = (request.getfixturevalue(name) for name in SERVERS)
    with (
        postgres_database(postgres) as (_, url),
        scaled_out(folder, url, redis, new_bucket(s3)) as (system, _),
    ):
        yield system


@pytest.fixture(params=KINDS)
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[System]:
    """An empty system, twice: disk + SQLite + in-process worker; RGW + PostgreSQL + Redis + processes."""
    with running(request.param, tmp_path, request) as system:
        yield system


@pytest.fixture(
    params=[pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in KINDS], scope="module"
)
def shared_system(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[System]:
    """As `system`, with what other tests of the module have stored."""
    with running(request.param, tmp_path_factory.mktemp("system"), request) as system:
        yield system
