"""Running systems, once on a laptop's parts and once scaled out; sample studies made once for all tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sample_studies.samples import ensure_sample
from tests.support.system import System, scaled_out, served


@pytest.fixture(scope="session")
def samples() -> Path:
    """A folder that keeps sample studies between runs, as the demo does."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "isocenter" / "samples"


@pytest.fixture(scope="session")
def chest_ct(samples: Path) -> list[Path]:
    return ensure_sample("red-triangle", samples)


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
