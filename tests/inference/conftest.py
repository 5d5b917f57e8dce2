"""Databases with the tables of the work list, on both kinds; archives and models on them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydicom import Dataset

from inference.pipeline import Pipeline
from inference.triggers import Triggers
from inference.workitems_sql import SqlWorkItems
from models.catalog import Catalog
from models.runtime import Runtime
from storage.archive import Archive
from storage.blobs.disk import DiskBlobs
from storage.instances import Accepted, Origin
from storage.spool import Spool
from storage.sql.index import SqlIndex
from tests.inference.analyses import SERIES, STUDY, part10
from tests.inference.packages import dark_package, film_package


class Clock:
    """A clock that moves when told."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    # Later than the archive's own clock, which events carry.
    return Clock(datetime.now(UTC) + timedelta(hours=1))


@pytest.fixture
def work(engine, clock) -> SqlWorkItems:
    return SqlWorkItems(engine, clock)


@pytest.fixture
def archive(engine, tmp_path) -> Iterator[Archive]:
    with closing(Archive(DiskBlobs(tmp_path / "objects"), SqlIndex(engine))) as archive:
        yield archive


@pytest.fixture
def spool(tmp_path) -> Iterator[Spool]:
    with Spool(tmp_path / "spool") as spool:
        yield spool


@pytest.fixture
def deliver(archive, spool) -> Callable[[Sequence[Dataset]], list[Accepted]]:
    """Stores data sets as one delivery."""

    def ingest(datasets: Sequence[Dataset], protocol: str = "dimse") -> list[Accepted]:
        with archive.delivery(Origin(protocol, "TEST")) as delivery:
            accepted = []
            for ds in datasets:
                file = spool.new()
                file.write(part10(ds))
                accepted.append(delivery.ingest(file))
            return accepted

    return ingest


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    dark_package(folder)
    film_package(folder)
    return folder


@pytest.fixture
def catalog(model_folder) -> Catalog:
    return Catalog([model_folder])


@pytest.fixture(scope="session")
def runtime() -> Runtime:
    return Runtime(threads=1, providers=["CPUExecutionProvider"])


@pytest.fixture
def pipeline(archive, spool, *, work, catalog, runtime, clock) -> Pipeline:
    return Pipeline(archive, spool, work, catalog, runtime, clock=clock)


@pytest.fixture
def scheduled(archive, work, catalog, clock, deliver):
    """Stores images and tells the UIDs of the work items they lead to."""

    def schedule(headers) -> list[str]:
        deliver(headers)
        return Triggers(archive, work, catalog, clock=clock).poll()

    return schedule


@pytest.fixture
def files(archive):
    """The bytes of everything in the study that is a result."""

    def read(study: str = STUDY) -> dict[str, bytes]:
        found = {}
        for instance in archive.instances(study):
            if instance.key.series != SERIES:
                with archive.open(instance) as file:
                    found[instance.key.sop] = file.read()
        return found

    return read
