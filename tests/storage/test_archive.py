"""The promises of the way in and out, over both databases and all blob stores."""

import json
import random
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless
from sqlalchemy import Engine

from storage.archive import Archive
from storage.blobs.disk import DiskBlobs
from storage.blobs.s3 import S3Blobs, s3_client
from storage.errors import DuplicateInstance, InvalidInstance, StorageDown, UnknownInstance
from storage.header import read_header
from storage.instances import Accepted, InstanceKey, Refused, StoredInstance
from storage.memory import MemoryBlobs
from storage.places import Place
from storage.search import Query
from storage.spool import Spool
from storage.sql.engine import connect
from storage.sql.index import SqlIndex
from storage.sql.rows import Entry
from tests.storage.builders import SERIES, SOP, STUDY, part10, spooled
from tests.storage.conftest import ORIGIN, Stored


@pytest.fixture(params=["memory", "disk", "s3"])
def over_blobs(
    request: pytest.FixtureRequest, spool: Spool, tmp_path: Path, empty_index: Path
) -> Iterator[Stored]:
    """Each blob store; with S3 once, over SQLite."""
    engine = connect(f"sqlite:///{shutil.copy(empty_index, tmp_path)}")
    if request.param == "s3":
        s3 = request.getfixturevalue("s3")
        client = s3_client(s3["endpoint"], s3["access_key"], s3["secret_key"], tls=False)
        blobs: Any = S3Blobs(client, s3["bucket"])
    else:
        blobs = MemoryBlobs() if request.param == "memory" else DiskBlobs(tmp_path / "blobs")
    stored = Stored(blobs, SqlIndex(engine), spool)
    yield stored
    stored.archive.close()
    engine.dispose()


def test_what_comes_out_is_what_came_in(over_blobs: Stored):
    data = part10()
    accepted = over_blobs.ingest_bytes(data)
    instance = over_blobs.archive.instance(SOP)
    assert accepted == Accepted(instance)
    assert instance.key == InstanceKey(STUDY, SERIES, SOP)
    assert (instance.size, instance.version, instance.number_of_frames) == (len(data), 1, 1)
    assert b"".join(over_blobs.archive.stream(instance)) == data
    with over_blobs.archive.open(instance) as file:
        assert file.read() == data
    assert over_blobs.archive.read_range(instance, 128, 4) == b"DICM"
    over_blobs.archive.health()


def test_header_and_frame_are_read_back(stored: Stored):
    stored.ingest()
    (instance,) = stored.archive.instances(STUDY, SERIES, SOP)
    (header,) = stored.archive.headers([instance])
    assert json.loads(header)["00100010"]["Value"] == [{"Alphabetic": "Triangle^Red"}]
    assert stored.archive.frame(instance, 1) == bytes(range(32))
    with pytest.raises(UnknownInstance, match="no frame 2"):
        stored.archive.frame(instance, 2)


def test_each_frame_of_a_deflated_data_set_is_read(stored: Stored):
    pixels = random.Random(1).randbytes(64 * 64 * 2 * 3)
    attributes = {"Rows": 64, "Columns": 64, "NumberOfFrames": 3, "PixelData": pixels}
    stored.ingest_bytes(part10(DeflatedExplicitVRLittleEndian, **attributes))
    instance = stored.archive.instance(SOP)
    assert stored.archive.layout(instance).deflated
    frames = [stored.archive.frame(instance, number) for number in (3, 1, 2)]
    assert frames[1] + frames[2] + frames[0] == pixels


def test_instances_come_in_order_of_series_and_instance_number(stored: Stored):
    stored.ingest_all(
        *(
            {
                "SeriesInstanceUID": f"1.2.{s}",
                "SeriesNumber": s,
                "SOPInstanceUID": f"1.2.{s}.{i}",
                "InstanceNumber": i,
            }
            for s in (10, 9)
            for i in (2, 10, 1)
        )
    )
    found = [instance.key.sop for instance in stored.archive.instances(STUDY)]
    assert found == ["1.2.9.1", "1.2.9.2", "1.2.9.10", "1.2.10.1", "1.2.10.2", "1.2.10.10"]
    headers = stored.archive.headers(stored.archive.instances(STUDY, "1.2.10"))
    assert [json.loads(header)["00200013"]["Value"][0] for header in headers] == [1, 2, 10]


def test_unknown_keys_are_named(stored: Stored):
    with pytest.raises(UnknownInstance, match=r"no study 1\.2\.3, series 4\.5"):
        stored.archive.instances("1.2.3", "4.5")
    with pytest.raises(UnknownInstance, match=r"1\.2\.3"):
        stored.archive.instance("1.2.3")


def test_same_bytes_again_change_nothing(stored: Stored):
    stored.ingest()
    again = stored.ingest()
    assert again.duplicate
    assert again.instance == stored.archive.instance(SOP)
    assert [event.kind for event in stored.archive.events()].count("instance.stored") == 1
    assert stored.archive.search(Query("series")).answers[0]["00201209"] == {"vr": "IS", "Value": [1]}


def test_same_data_set_with_another_preamble_is_the_same(stored: Stored):
    stored.ingest_bytes(part10())
    assert stored.ingest_bytes(b"II*\0".ljust(128, b"\0") + part10()[128:]).duplicate


def test_other_bytes_are_refused_and_kept_in_quarantine(stored: Stored):
    first, other = part10(), part10(PatientID="other")
    stored.ingest_bytes(first)
    for _ in range(2):
        with pytest.raises(DuplicateInstance, match="quarantine"):
            stored.ingest_bytes(other)
    assert b"".join(stored.archive.stream(stored.archive.instance(SOP))) == first
    (refusal,) = stored.archive.refusals(study=STUDY)
    assert (refusal.sop, refusal.origin, refusal.times) == (SOP, ORIGIN, 2)
    assert refusal.blob
    assert refusal.blob.startswith(f"quarantine/{STUDY}/{SERIES}/{SOP}.")
    assert b"".join(stored.blobs.stream(refusal.blob)) == other


@pytest.mark.parametrize("moved", [{"SeriesInstanceUID": "1.2.3"}, {"StudyInstanceUID": "1.2.3"}])
@pytest.mark.parametrize("duplicates", ["keep", "replace"])
def test_same_instance_in_another_place_is_a_conflict(stored: Stored, moved: dict[str, str], duplicates: Any):
    archive = Archive(stored.blobs, stored.index, duplicates=duplicates)
    stored.ingest_bytes(part10(), archive)
    with pytest.raises(DuplicateInstance, match=rf"stored in study {STUDY}, series {SERIES}"):
        stored.ingest_bytes(part10(**moved), archive)
    assert archive.instance(SOP).key == InstanceKey(STUDY, SERIES, SOP)
    assert len(archive.refusals()) == 1
    archive.close()


def test_replace_serves_the_new_version_and_keeps_the_old_one(stored: Stored):
    archive = Archive(stored.blobs, stored.index, duplicates="replace")
    files = [part10(Rows=rows, Columns=16 // rows) for rows in (4, 2, 8)]
    accepted = [stored.ingest_bytes(data, archive) for data in files]
    assert [a.instance.version for a in accepted] == [1, 2, 3]
    assert archive.instance(SOP) == accepted[2].instance
    assert archive.versions(SOP) == [a.instance for a in accepted]
    for data, version in zip(files, archive.versions(SOP), strict=True):
        assert b"".join(archive.stream(version)) == data
        assert archive.frame(version, 1) == bytes(range(32))
    rows = [json.loads(header)["00280010"]["Value"] for header in archive.headers(archive.versions(SOP))]
    assert rows == [[4], [2], [8]]
    kinds = [event.kind for event in archive.events() if event.sop]
    assert kinds == ["instance.stored", "instance.replaced", "instance.replaced"]
    assert archive.search(Query("series")).answers[0]["00201209"]["Value"] == [1]
    assert stored.ingest_bytes(files[2], archive).duplicate
    archive.close()


def test_same_data_set_bytes_in_another_transfer_syntax_are_other_bytes(stored: Stored):
    stored.ingest_bytes(part10(ImplicitVRLittleEndian))
    with pytest.raises(DuplicateInstance):
        stored.ingest_bytes(part10())


def test_what_is_no_instance_is_refused_and_listed(stored: Stored):
    for _ in range(3):
        with pytest.raises(InvalidInstance):
            stored.ingest_bytes(b"not a DICOM file")
    (refusal,) = stored.archive.refusals()
    assert (refusal.blob, refusal.times, refusal.size) == (None, 3, 16)
    assert list(stored.blobs.list()) == []


def test_spool_file_is_consumed_whatever_happens(stored: Stored):
    for data in (part10(), part10(), part10(PatientID="x"), b"nonsense"):
        file = spooled(stored.spool, data)
        with stored.archive.delivery(ORIGIN) as delivery:
            delivery.ingest_many([file])
        assert not file.path.exists()


def test_one_bad_file_does_not_hinder_the_others(stored: Stored):
    datas = [part10(), b"nonsense", part10(SOPInstanceUID="1.2.3"), part10(SOPInstanceUID="x")]
    with stored.archive.delivery(ORIGIN) as delivery:
        outcomes = delivery.ingest_many(spooled(stored.spool, data) for data in datas)
    assert [type(outcome) for outcome in outcomes] == [Accepted, Refused, Accepted, Refused]


def test_each_of_a_group_has_its_own_outcome(stored: Stored):
    known, twice = part10(SOPInstanceUID=f"{SOP}.1"), part10(SOPInstanceUID=f"{SOP}.2")
    stored.ingest_bytes(known)
    other = part10(SOPInstanceUID=f"{SOP}.2", PatientID="other")
    datas = [known, twice, twice, b"no DICOM", other, part10(SOPInstanceUID=f"{SOP}.3")]
    with stored.archive.delivery(ORIGIN) as delivery:
        outcomes = delivery.ingest_many(spooled(stored.spool, data) for data in datas)
    accepted = [outcome.duplicate if isinstance(outcome, Accepted) else None for outcome in outcomes]
    refused = [type(outcome.error) for outcome in outcomes if isinstance(outcome, Refused)]
    assert accepted == [True, False, True, None, None, False]
    assert refused == [InvalidInstance, DuplicateInstance]
    assert [i.key.sop for i in stored.archive.instances(STUDY)] == [f"{SOP}.{n}" for n in (1, 2, 3)]


def test_rows_of_a_group_come_at_once_when_its_names_are_flushed(
    on_disk: Stored, monkeypatch: pytest.MonkeyPatch
):
    seen: list[str] = []
    settle, add = on_disk.blobs.settle, on_disk.index.add
    monkeypatch.setattr(on_disk.blobs, "settle", lambda: (seen.append("names"), settle())[1])
    monkeypatch.setattr(on_disk.index, "add", lambda rows: (seen.append(f"{len(rows)} rows"), add(rows))[1])
    with on_disk.archive.delivery(ORIGIN) as delivery:
        delivery.ingest_many(spooled(on_disk.spool, part10(SOPInstanceUID=f"{SOP}.{n}")) for n in range(1, 6))
    assert seen == ["names", "5 rows"]


def test_group_is_refused_when_the_index_is_away(on_disk: Stored, monkeypatch: pytest.MonkeyPatch):
    def away(_: object) -> None:
        raise StorageDown("the index does not answer")

    monkeypatch.setattr(on_disk.index, "add", away)
    with on_disk.archive.delivery(ORIGIN) as delivery:
        outcomes = delivery.ingest_many(
            spooled(on_disk.spool, part10(SOPInstanceUID=f"{SOP}.{n}")) for n in (1, 2)
        )
    assert all(isinstance(outcome, Refused) and type(outcome.error) is StorageDown for outcome in outcomes)
    assert list(on_disk.spool.folder.iterdir()) == [on_disk.spool.folder / ".lock"]


def test_refused_instance_is_named_in_its_outcome(stored: Stored):
    stored.ingest()
    with stored.archive.delivery(ORIGIN) as delivery:
        (outcome,) = delivery.ingest_many([spooled(stored.spool, part10(PatientID="x"))])
    assert isinstance(outcome, Refused)
    assert outcome.sop == SOP
    assert outcome.sop_class.startswith("1.2.840.10008.5.1.4.1.1.2")


def test_row_the_database_cannot_take_does_not_hinder_its_neighbours(engine: Engine, spool: Spool):
    def entry(sop: str, **changed: Any) -> Entry:
        with spooled(spool, part10(SOPInstanceUID=sop)) as file:
            file.close()
            header = read_header(file.path)
        place = Place(header.key)
        made = StoredInstance(
            header.key, header.sop_class, header.transfer_syntax, header.size, header.digest, place.blob
        )
        return Entry(header, replace(made, stored_at=datetime.now(UTC), **changed), ORIGIN)

    index = SqlIndex(engine)
    results = index.add([entry("1.1"), entry("1.2", size=2**70), entry("1.3")])
    assert [type(result).__name__ for result in results] == ["Added", "InvalidInstance", "Added"]
    assert index.instance("1.3")
    assert index.instance("1.2") is None


def test_values_no_database_takes_are_stored_all_the_same(stored: Stored):
    odd = {
        "PatientID": "x" * 70_000,
        "PatientName": "N" * 5_000 + "^A=" + "山" * 3_000,
        "StudyDescription": "ﷺ" * 3_000,
        "InstanceNumber": None,
        "Modality": "",
        "StudyDate": "2024.02.29",
    }
    stored.ingest_bytes(part10("1.2.840.10008.1.2", **odd))
    assert stored.archive.search(Query("study")).answers[0]["00080020"]["Value"] == ["20240229"]


def test_differing_patient_is_a_warning(stored: Stored):
    stored.ingest()
    accepted = stored.ingest(SOPInstanceUID="1.2.3", PatientID="P2")
    assert any("P2" in warning and "P1" in warning for warning in accepted.warnings)
    assert stored.archive.search(Query("study")).answers[0]["00100020"]["Value"] == ["P1"]


def test_same_series_uid_in_two_studies_stays_two_series(stored: Stored):
    stored.ingest()
    stored.ingest(StudyInstanceUID="1.9", SOPInstanceUID="1.9.1")
    assert len(stored.archive.instances(STUDY, SERIES)) == len(stored.archive.instances("1.9", SERIES)) == 1


def test_deleted_instances_are_gone_with_their_blobs(on_disk: Stored):
    on_disk.ingest_all(
        {},
        {"SOPInstanceUID": "1.2.3", "InstanceNumber": 2},
        {"SeriesInstanceUID": "1.7", "SOPInstanceUID": "1.7.1", "Modality": "MR"},
    )
    archive = on_disk.archive
    assert archive.delete(STUDY, SERIES, SOP) == 1
    study = archive.search(Query("study")).answers[0]
    assert (study["00201206"]["Value"], study["00201208"]["Value"]) == ([2], [2])
    assert archive.delete(STUDY, "1.7") == 1
    assert archive.search(Query("study")).answers[0]["00080061"]["Value"] == ["CT"]
    assert archive.delete(STUDY) == 1
    assert archive.search(Query("study")).answers == ()
    assert list(on_disk.blobs.list("studies/")) == []
    with pytest.raises(UnknownInstance):
        archive.delete(STUDY)
    assert [event.sop for event in archive.events() if event.kind == "instance.deleted"] == [
        SOP,
        "1.7.1",
        "1.2.3",
    ]


def test_deletion_takes_all_versions(stored: Stored):
    archive = Archive(stored.blobs, stored.index, duplicates="replace")
    for patient in "ab":
        stored.ingest_bytes(part10(PatientID=patient), archive)
    assert archive.delete(STUDY) == 1
    assert list(stored.blobs.list()) == []
    archive.close()


def test_deleted_instance_can_be_stored_again(stored: Stored):
    stored.ingest()
    stored.archive.delete(STUDY)
    instance = stored.ingest().instance
    assert b"".join(stored.archive.stream(instance)) == part10()
    assert stored.archive.instance(SOP) == instance


def test_name_on_its_way_out_is_not_used_for_a_new_row(stored: Stored):
    """The blob of a deleted instance is still there when the same bytes come again."""
    stored.ingest()
    stored.index.remove(STUDY, None, None, ORIGIN)
    instance = stored.ingest().instance
    assert stored.index.pending_removals(10) == [Place(instance.key).blob]
    stored.archive.delete(STUDY)
    assert list(stored.blobs.list()) == []


def test_database_that_is_away_is_storage_down(spool: Spool):
    url = "postgresql://nobody@127.0.0.1:1/nothing"
    archive = Archive(MemoryBlobs(), SqlIndex(connect(url)))
    with archive.delivery(ORIGIN) as delivery, pytest.raises(StorageDown, match="index"):
        delivery.ingest(spooled(spool, part10()))
    with pytest.raises(StorageDown):
        archive.health()
    archive.close()


def test_compressed_frame_comes_as_it_is_stored(stored: Stored):
    frames = [b"\x01" * 64 + b"frame one ", b"\x02" * 64 + b"frame two "]
    stored.ingest_bytes(part10(RLELossless, NumberOfFrames=2, PixelData=encapsulate(frames)))
    instance = stored.archive.instance(SOP)
    assert [stored.archive.frame(instance, number) for number in (1, 2)] == frames
