import shutil

import pytest

from dicom_node.node import Node
from dicom_node.send import send
from storage.archive import Archive
from storage.blobs.disk import DiskBlobs
from storage.spool import Spool
from storage.sql.engine import connect
from storage.sql.index import SqlIndex
from tests.dicom_node.builders import ct, saved


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


@pytest.fixture
def study(port, tmp_path):
    """Data sets of one stored study: two series of two instances each."""
    (tmp_path / "files").mkdir()
    sets = []
    for series in (1, 2):
        for number in (1, 2):
            uids = {"SeriesInstanceUID": f"1.2.3.{series}", "SOPInstanceUID": f"1.2.3.{series}.{number}"}
            sets.append(
                ct(StudyInstanceUID="1.2.3", InstanceNumber=number, PixelData=bytes(range(32)), **uids)
            )
    results = send([saved(ds, tmp_path / "files") for ds in sets], "127.0.0.1", port, "ISOCENTER", "TEST")
    assert all(result.stored for result in results)
    return sets


@pytest.fixture
def big_study(port, tmp_path):
    """Forty instances of half a megabyte, study 1.2.4."""
    (tmp_path / "big").mkdir()
    uids = {"StudyInstanceUID": "1.2.4", "SeriesInstanceUID": "1.2.4.1"}
    paths = [
        saved(ct(PixelData=bytes(500_000), Rows=500, Columns=500, **uids), tmp_path / "big")
        for _ in range(40)
    ]
    send(paths, "127.0.0.1", port, "ISOCENTER", "TEST")
