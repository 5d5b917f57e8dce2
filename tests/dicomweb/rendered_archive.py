"""A real archive behind the rendered and overlay routes, filled from files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from fastapi import FastAPI

from dicomweb.masks import masks_router
from dicomweb.overlay import overlay_router
from dicomweb.problems import add_error_handlers
from dicomweb.rendered_routes import rendered_router
from storage.archive import Archive
from storage.errors import StorageError
from storage.instances import Origin, StoredInstance
from storage.memory import MemoryBlobs
from storage.spool import Spool
from storage.sql.engine import connect
from storage.sql.index import SqlIndex
from storage.sql.tables import metadata
from tests.dicomweb.conftest import serving


class Web:
    """A client of a real server, and what is stored behind it."""

    def __init__(self, archive: Archive, client: httpx.Client, folder: Path) -> None:
        self.archive = archive
        self.client = client
        self.stored: dict[Path, StoredInstance] = {}
        self._folder = folder

    def store(self, *paths: Path) -> list[StoredInstance]:
        """Store what the archive takes; files it refuses are left out."""
        with Spool(self._folder / "spool") as spool, self.archive.delivery(Origin("import")) as delivery:
            for path in paths:
                file = spool.new()
                file.write(path.read_bytes())
                try:
                    self.stored[path] = delivery.ingest(file).instance
                except StorageError:
                    continue
        return [self.stored[path] for path in paths if path in self.stored]

    def get(
        self, instance: StoredInstance, what: str = "rendered", accept: str = "*/*", **parameters: object
    ):
        url = f"/dicom-web/{path_of(instance)}/{what}"
        return self.client.get(url, params=parameters, headers={"Accept": accept})

    def overlay(self, instance: StoredInstance, **parameters: object):
        return self.client.get(f"/overlay/{path_of(instance)}", params=parameters)


def path_of(instance: StoredInstance) -> str:
    return f"studies/{instance.key.study}/series/{instance.key.series}/instances/{instance.key.sop}"


@contextmanager
def web_in(folder: Path) -> Iterator[Web]:
    """An empty archive with its routes: blobs in memory, index in `folder`."""
    engine = connect(f"sqlite:///{folder / 'index.sqlite'}")
    metadata.create_all(engine)
    archive = Archive(MemoryBlobs(), SqlIndex(engine))
    app = FastAPI()
    app.include_router(rendered_router(archive), prefix="/dicom-web")
    app.include_router(overlay_router(archive))
    app.include_router(masks_router(archive))
    add_error_handlers(app)
    with serving(app) as address, httpx.Client(base_url=address, timeout=60) as client:
        yield Web(archive, client, folder)
    archive.close()
    engine.dispose()
