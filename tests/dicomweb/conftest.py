"""The service over a real archive: SQLite and files in a temporary folder."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from dicomweb.service import add_dicomweb, add_error_handlers, wado_uri_router
from dicomweb.ups import workitems_router
from inference.ups.data_set import Access
from inference.ups.steps_sql import SqlProcedureSteps
from storage.archive import Archive
from storage.blobs.disk import DiskBlobs
from storage.instances import Accepted, Origin
from storage.spool import Spool
from storage.sql.engine import connect
from storage.sql.index import SqlIndex
from tests.support.web import serving

Store = Callable[..., list[Accepted]]


@contextmanager
def opened(folder: Path, empty_index: Path) -> Iterator[tuple[Archive, Spool]]:
    """An empty archive with its spool in `folder`."""
    shutil.copy(empty_index, folder / "index.db")
    engine = connect(f"sqlite:///{folder / 'index.db'}")
    with Spool(folder / "spool") as spool:
        yield Archive(DiskBlobs(folder / "blobs"), SqlIndex(engine)), spool
    engine.dispose()


def application(archive: Archive, spool: Spool, steps: SqlProcedureSteps | None = None, **options) -> FastAPI:
    app = FastAPI()
    if steps is not None:
        app.include_router(workitems_router(steps), prefix="/dicom-web")
    add_dicomweb(app, "/dicom-web", archive, spool, **options)
    app.include_router(wado_uri_router(archive), prefix="/wado")
    add_error_handlers(app)
    return app


@contextmanager
def client_of(app: FastAPI) -> Iterator[httpx.Client]:
    """A client of `app` on a real server, whose addresses start at the DICOMweb root."""
    with serving(app) as address, httpx.Client(base_url=f"{address}/dicom-web", timeout=60) as client:
        yield client


@pytest.fixture
def opened_archive(tmp_path: Path, empty_index: Path) -> Iterator[tuple[Archive, Spool]]:
    with opened(tmp_path, empty_index) as both:
        yield both


@pytest.fixture
def archive(opened_archive) -> Archive:
    return opened_archive[0]


@pytest.fixture
def spool(opened_archive) -> Spool:
    return opened_archive[1]


@pytest.fixture
def steps(archive: Archive, tmp_path: Path) -> Iterator[SqlProcedureSteps]:
    engine = connect(f"sqlite:///{tmp_path / 'index.db'}")
    yield SqlProcedureSteps(engine, archive, Access("ISOCENTER", "http://pacs/dicom-web"))
    engine.dispose()


@pytest.fixture
def app(archive: Archive, spool: Spool, steps: SqlProcedureSteps) -> FastAPI:
    return application(archive, spool, steps)


@pytest.fixture
def web(app: FastAPI) -> Iterator[httpx.Client]:
    """A client of a real server; its addresses start at the DICOMweb root."""
    with client_of(app) as client:
        yield client


@pytest.fixture
def make_web(archive: Archive, spool: Spool) -> Iterator[Callable[..., httpx.Client]]:
    """Makes clients of the service with options."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(client_of(application(archive, spool, **options)))


@pytest.fixture
def store(archive: Archive, spool: Spool) -> Store:
    """Stores files as any edge does."""

    def store(*files: bytes) -> list[Accepted]:
        stored = []
        with archive.delivery(Origin("import")) as delivery:
            for data in files:
                file = spool.new()
                file.write(data)
                stored.append(delivery.ingest(file))
        return stored

    return store
