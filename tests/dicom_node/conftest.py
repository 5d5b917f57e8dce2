import pytest

from dicom_node.node import Node
from isocenter import migrations
from storage.archive import Archive
from storage.blobs.disk import DiskBlobs
from storage.spool import Spool
from storage.sql.engine import connect
from storage.sql.index import SqlIndex


@pytest.fixture
def archive(tmp_path):
    engine = connect(f"sqlite:///{tmp_path}/index.sqlite")
    migrations.upgrade(engine)
    archive = Archive(DiskBlobs(tmp_path / "objects"), SqlIndex(engine))
    yield archive
    archive.close()
    engine.dispose()


@pytest.fixture
def spool(tmp_path):
    with Spool(tmp_path / "spool") as spool:
        yield spool


@pytest.fixture
def node(archive, spool):
    """A function that starts a node with options; its port. Everything is stopped at the end."""
    started = []

    def start(**options):
        node = Node(archive, spool, **{"aet": "ISOCENTER", "host": "127.0.0.1", "port": 0} | options)
        started.append(node)
        return node.start()

    yield start
    for each in started:
        each.stop(grace=1)
