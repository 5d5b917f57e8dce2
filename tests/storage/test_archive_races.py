"""Many who store at once, some of whom die: nothing is lost, nothing is twice, nobody waits for ever."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from isocenter.migrations import upgrade
from storage.archive import Archive
from storage.blobs.disk import DiskBlobs
from storage.errors import DuplicateInstance
from storage.instances import InstanceKey
from storage.memory import MemoryBlobs
from storage.places import Place
from storage.search import Query
from storage.spool import Spool
from storage.sql.engine import connect
from storage.sql.index import SqlIndex
from tests.storage.builders import SERIES, SOP, STUDY, part10, spooled
from tests.storage.conftest import ORIGIN, Stored

ROOT = Path(__file__).parents[2]


def left_by_a_crash(stored: Stored, name: str, data: bytes) -> None:
    with spooled(stored.spool, data) as file:
        file.close()
        assert stored.blobs.put_if_absent(name, file.path)


def test_blob_left_by_a_crash_is_used_when_it_has_the_same_bytes(on_disk: Stored):
    left_by_a_crash(on_disk, Place(InstanceKey(STUDY, SERIES, SOP)).blob, part10())
    assert on_disk.ingest_bytes(part10()).instance.version == 1
    assert len(list(on_disk.blobs.list("studies/"))) == 1


def test_blob_left_by_a_crash_with_other_bytes_is_not_touched(on_disk: Stored):
    name = Place(InstanceKey(STUDY, SERIES, SOP)).blob
    left_by_a_crash(on_disk, name, part10(PatientID="left"))
    accepted = on_disk.ingest_bytes(part10())
    assert accepted.instance.blob == f"studies/{STUDY}/{SERIES}/{SOP}.v2.dcm"
    assert b"".join(on_disk.archive.stream(on_disk.archive.instance(SOP))) == part10()
    assert b"".join(on_disk.blobs.stream(name)) == part10(PatientID="left")


class LateBlobs(MemoryBlobs):
    """Another process stores the same SOP Instance UID between our bytes and our row."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Any = None

    def put_if_absent(self, name: str, source: Path, *, settled: bool = True) -> bool:
        done = super().put_if_absent(name, source, settled=settled)
        if self.meanwhile and name.startswith("studies/"):
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        return done


@pytest.mark.parametrize(
    ("faster", "outcome"),
    [
        ({}, "duplicate"),
        ({"PatientID": "other"}, "refused"),
        ({"SeriesInstanceUID": "1.2.3"}, "refused"),
    ],
)
def test_who_loses_the_race_for_a_uid_leaves_no_blob(engine: Engine, spool: Spool, faster: Any, outcome: str):
    blobs = LateBlobs()
    stored = Stored(blobs, SqlIndex(engine), spool)
    other = Archive(blobs, stored.index)
    blobs.meanwhile = lambda: stored.ingest_bytes(part10(**faster), other)
    if outcome == "duplicate":
        assert stored.ingest_bytes(part10()).duplicate
    else:
        with pytest.raises(DuplicateInstance):
            stored.ingest_bytes(part10())
    assert [found.name for found in blobs.list("studies/")] == [other.instance(SOP).blob]
    stored.archive.close()
    other.close()


def test_eight_threads_store_one_study(on_disk: Stored):
    files = [
        part10(
            SeriesInstanceUID=f"1.5.{n % 3}",
            SOPInstanceUID=f"1.5.{n % 3}.{n}",
            SeriesNumber=n % 3,
            InstanceNumber=n,
        )
        for n in range(120)
    ]
    random.Random(3).shuffle(files)

    def send(some: list[bytes]) -> None:
        with on_disk.archive.delivery(ORIGIN) as delivery:
            for data in some:
                delivery.ingest(spooled(on_disk.spool, data))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(send, [files[at::8] for at in range(8)]))
    counts = [answer["00201209"]["Value"][0] for answer in on_disk.archive.search(Query("series")).answers]
    assert sorted(counts) == [40, 40, 40]
    assert len(on_disk.archive.instances(STUDY)) == 120
    assert sum(event.kind == "instance.stored" for event in on_disk.archive.events()) == 120


def test_eight_threads_store_the_same_instance(on_disk: Stored):
    with ThreadPoolExecutor(8) as threads:
        accepted = list(threads.map(lambda _: on_disk.ingest(), range(24)))
    assert sum(not one.duplicate for one in accepted) == 1
    assert len(list(on_disk.blobs.list("studies/"))) == 1


def test_processes_store_the_same_studies_without_deadlock(postgres_url: str, tmp_path: Path):
    _race(postgres_url, tmp_path)


def test_processes_share_a_database_file(tmp_path: Path):
    _race(f"sqlite:///{tmp_path / 'index.db'}", tmp_path)


def _race(url: str, folder: Path) -> None:
    upgrade(url)
    children = [_child(url, folder, str(seed), "40") for seed in range(4)]
    outputs = [child.communicate(timeout=120)[0] for child in children]
    assert [child.returncode for child in children] == [0] * 4
    acknowledged = {line for output in outputs for line in output.split()}
    with _archive(url, folder) as archive:
        assert all(archive.instance(sop) for sop in acknowledged)
        counts = [answer["00201209"]["Value"][0] for answer in archive.search(Query("series")).answers]
    assert sum(counts) == len(acknowledged)


def _child(url: str, folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.storage.killed_child", url, str(folder), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


@contextmanager
def _archive(url: str, folder: Path) -> Iterator[Archive]:
    engine = connect(url)
    with closing(Archive(DiskBlobs(folder / "blobs"), SqlIndex(engine))) as archive:
        yield archive
    engine.dispose()


def test_every_acknowledged_instance_survives_kill_9(engine: Engine, tmp_path: Path):
    url = engine.url.render_as_string(hide_password=False)
    chance = random.Random(7)
    acknowledged: set[str] = set()
    for round_ in range(4):
        child = _child(url, tmp_path, str(round_), "100000")
        assert child.stdout
        acknowledged |= {child.stdout.readline().strip() for _ in range(chance.randrange(1, 40))}
        time.sleep(chance.uniform(0, 0.02))
        child.kill()
        rest = child.stdout.read()
        child.wait()
        child.stdout.close()
        # A line cut short by the kill was not an acknowledgement.
        acknowledged |= set(rest[: rest.rfind("\n") + 1].split())
    assert len(acknowledged) > 20
    with _archive(url, tmp_path) as archive:
        for sop in acknowledged:
            instance = archive.instance(sop)
            data = b"".join(archive.stream(instance))
            assert len(data) == instance.size
            assert archive.frame(instance, 1) == data[-32:]
            assert json.loads(next(archive.headers([instance])))["00080018"]["Value"] == [sop]
