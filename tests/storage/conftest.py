"""An archive over each pair of adapters."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from storage.archive import Archive
from storage.blobs.disk import DiskBlobs
from storage.instances import Accepted, Origin
from storage.memory import MemoryBlobs
from storage.ports import Blobs
from storage.spool import Spool
from storage.sql.engine import connect
from storage.sql.index import SqlIndex
from tests.storage.builders import part10, spooled

ORIGIN = Origin("import", "test")


@dataclass
class Stored:
    """An archive with what it stands on."""

    blobs: Blobs
    index: SqlIndex
    spool: Spool
    archive: Archive = field(init=False)

    def __post_init__(self) -> None:
        self.archive = Archive(self.blobs, self.index)

    def ingest_bytes(self, data: bytes, archive: Archive | None = None) -> Accepted:
        with (archive or self.archive).delivery(ORIGIN) as delivery:
            return delivery.ingest(spooled(self.spool, data))

    def ingest(self, **attributes: Any) -> Accepted:
        return self.ingest_bytes(part10(**attributes))

    def ingest_all(self, *instances: dict[str, Any]) -> None:
        files = [spooled(self.spool, part10(**attributes)) for attributes in instances]
        with self.archive.delivery(ORIGIN) as delivery:
            assert all(isinstance(outcome, Accepted) for outcome in delivery.ingest_many(files))


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "spool") as spool:
        yield spool


@pytest.fixture
def stored(engine: Engine, spool: Spool) -> Iterator[Stored]:
    """Blobs in memory."""
    stored = Stored(MemoryBlobs(), SqlIndex(engine), spool)
    yield stored
    stored.archive.close()


@pytest.fixture
def on_disk(engine: Engine, spool: Spool, tmp_path: Path) -> Iterator[Stored]:
    stored = Stored(DiskBlobs(tmp_path / "blobs"), SqlIndex(engine), spool)
    yield stored
    stored.archive.close()


@pytest.fixture
def empty(tmp_path: Path, empty_index: Path) -> SqlIndex:
    """Another index, without rows."""
    return SqlIndex(connect(f"sqlite:///{shutil.copy(empty_index, tmp_path / 'second.db')}"))


@pytest.fixture
def file(tmp_path: Path) -> Callable[[bytes], Path]:
    """Makes files of bytes."""

    def make(data: bytes) -> Path:
        path = tmp_path / f"source-{len(list(tmp_path.iterdir()))}"
        path.write_bytes(data)
        return path

    return make
