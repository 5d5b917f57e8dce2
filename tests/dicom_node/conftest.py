import shutil

import pytest

from dicom_node.node import Node
from storage.archive import Archive
from storage.blobs.disk import DiskBlobs
from storage.spool import Spool
from storage.sql.engine import connect
from storage.sql.index import SqlIndex


@pytest.fixture
def archive(tmp_path, empty_index):
    engine = connect(f"sqlite:///{shutil.copy(empty_index, tmp_path)}")
    archive = Archive(DiskBlobs(tmp_path / "objects"), SqlIndex(engine))
    yield archive
    archive.close()
    engine.dispose()


@pytest.fixture
def spool(tmp_path):
    with Spool(tmp_path / "spool") as spool:
        yield spool


@pytest.fixture
def start(archive, spool):
    """A function that starts a node with options and gives it with its port; all are stopped at the end."""
    started = []

    def start(**options):
        node = Node(archive, spool, **{"aet": "ISOCENTER", "host": "127.0.0.1", "port": 0} | options)
        started.append(node)
        return node, node.start()

    yield start
    for node in started:
        node.stop(grace=0)


@pytest.fixture
def port(start):
    """The port of a node with nothing but defaults."""
    return start()[1]
