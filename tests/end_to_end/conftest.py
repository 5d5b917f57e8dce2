"""Running systems, once on a laptop's parts and once scaled out; sample studies made once for all tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sample_studies.chest import ChestPhantom
from sample_studies.dicom import Patient, write_ct
from sample_studies.samples import ensure_sample
from tests.support.system import System, scaled_out, served


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


@pytest.fixture(params=["embedded", "scaled out"])
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[System]:
    """The same system twice: disk + SQLite + in-process worker, and RGW + PostgreSQL + Redis + processes."""
    if request.param == "embedded":
        with served(tmp_path) as (running, _):
            yield running
    else:
        servers = (request.getfixturevalue(name) for name in ("postgres_url", "redis_url", "s3"))
        with scaled_out(tmp_path, *servers) as (running, _):
            yield running
