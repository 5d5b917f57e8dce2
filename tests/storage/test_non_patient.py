"""Instances that belong to no patient: stored as durably as those of studies, found by their attributes."""

from base64 import b64decode
from io import BytesIO
from typing import Any

import pytest
from pydicom import config
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from storage.errors import DuplicateInstance, InvalidInstance, QueryTooBroad, UnknownInstance
from storage.non_patient import CATEGORIES
from storage.reindex import Reindexed, reindex
from storage.sql.index import SqlIndex
from storage.sweep import sweep
from tests.storage.builders import part10, spooled
from tests.storage.conftest import ORIGIN, Stored

HANGING = CATEGORIES["hanging-protocols"].sop_classes
PALETTES = CATEGORIES["color-palettes"].sop_classes


def protocol(syntax: str = ExplicitVRLittleEndian, **attributes: Any) -> bytes:
    """A hanging protocol."""
    definition = Dataset()
    definition.Modality = "CR"
    values = {
        "SOPClassUID": HANGING[0],
        "SOPInstanceUID": "2.25.1",
        "HangingProtocolName": "Chest pair",
        "HangingProtocolLevel": "SITE",
        "HangingProtocolDefinitionSequence": [definition],
    }
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    with config.disable_value_validation():
        for keyword, value in (values | attributes).items():
            setattr(ds, keyword, value)
        ds.save_as(buffer := BytesIO(), enforce_file_format=True)
    return buffer.getvalue()


def store(stored: Stored, data: bytes, **options: Any):
    return stored.archive.non_patient.store(spooled(stored.spool, data), ORIGIN, **options)


def found(stored: Stored, classes=HANGING, **identifier: Any) -> list[str]:
    answers = stored.archive.non_patient.search(classes, {tag[1:]: key for tag, key in identifier.items()})
    return [each["00080018"]["Value"][0] for each in answers]


def test_what_was_stored_comes_back_byte_for_byte(on_disk: Stored):
    data = protocol(ImplicitVRLittleEndian)
    instance = store(on_disk, data)
    again = on_disk.archive.non_patient.instance("2.25.1", HANGING)
    assert again == instance
    assert b"".join(on_disk.archive.non_patient.stream(again)) == data
    with pytest.raises(UnknownInstance):
        on_disk.archive.non_patient.instance("2.25.1", PALETTES)


def test_the_same_again_is_a_success_and_other_bytes_are_refused(stored: Stored):
    first = store(stored, protocol())
    assert store(stored, protocol()) == first
    with pytest.raises(DuplicateInstance, match="quarantine"):
        store(stored, protocol(HangingProtocolName="Other"))
    (refused,) = stored.archive.refusals()
    assert (refused.sop, refused.study, refused.sop_class) == ("2.25.1", "", HANGING[0])
    assert refused.blob is not None
    assert stored.blobs.stat(refused.blob)


def test_bytes_of_a_crash_between_blob_and_row_are_taken(stored: Stored):
    with spooled(stored.spool, protocol()) as file:
        file.close()
        stored.blobs.put_if_absent("non-patient/2.25.1.dcm", file.path)
    assert store(stored, protocol()).sop == "2.25.1"
    assert found(stored) == ["2.25.1"]


@pytest.mark.parametrize("data", [part10(), b"no DICOM", protocol(SOPInstanceUID="../evil")])
def test_what_is_no_such_instance_is_refused_and_listed(stored: Stored, data: bytes):
    with pytest.raises(InvalidInstance):
        store(stored, data)
    assert len(stored.archive.refusals()) == 1
    assert list(stored.blobs.list()) == []


def test_an_instance_of_another_kind_is_refused(stored: Stored):
    with pytest.raises(InvalidInstance, match="SOPClassUID"):
        store(stored, protocol(), classes=PALETTES)


def test_search_matches_any_attribute_the_last_stored_first(stored: Stored):
    store(stored, protocol())
    store(stored, protocol(SOPInstanceUID="2.25.2", HangingProtocolName="Knee"))
    assert found(stored) == ["2.25.2", "2.25.1"]
    assert found(stored, _00720002={"vr": "SH", "Value": ["Ch*"]}) == ["2.25.1"]
    assert found(stored, _00080018={"vr": "UI", "Value": ["2.25.2", "2.25.9"]}) == ["2.25.2"]
    nested = {"vr": "SQ", "Value": [{"00080060": {"vr": "CS", "Value": ["MR"]}}]}
    assert found(stored, _0072000C=nested) == []
    assert found(stored, PALETTES) == []


def test_a_search_reads_only_so_much(stored: Stored, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("storage.non_patient.MOST_HEADERS", 2)
    monkeypatch.setattr("storage.non_patient._PAGE", 1)
    for number in range(3):
        store(stored, protocol(SOPInstanceUID=f"2.25.{number}"))
    answers = stored.archive.non_patient.search(HANGING, {})
    assert next(answers)["00080018"]["Value"] == ["2.25.2"]
    next(answers)
    with pytest.raises(QueryTooBroad):
        next(answers)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_big_values_are_inline_or_left_out(stored: Stored, syntax: str):
    profile = bytes(range(256)) * 40
    screen = Dataset()
    screen.ICCProfile = profile
    instance = store(stored, protocol(syntax, ICCProfile=profile, NominalScreenDefinitionSequence=[screen]))
    (answer,) = stored.archive.non_patient.search(HANGING, {})
    assert "00282000" not in answer
    whole = stored.archive.non_patient.attributes(instance, 1 << 20)
    assert whole["00282000"] == whole["00720102"]["Value"][0]["00282000"]
    assert b64decode(whole["00282000"]["InlineBinary"]) == profile
    with pytest.raises(QueryTooBroad):
        stored.archive.non_patient.attributes(instance, 100)


def test_the_index_is_rebuilt_from_the_blobs(stored: Stored, empty: SqlIndex):
    store(stored, protocol())
    with pytest.raises(DuplicateInstance):
        store(stored, protocol(HangingProtocolName="Other"))
    assert reindex(stored.blobs, empty, stored.spool) == Reindexed(added=1, quarantined=1)
    assert empty.non_patient_header("2.25.1") == stored.index.non_patient_header("2.25.1")
    assert reindex(stored.blobs, empty, stored.spool) == Reindexed(known=2)


def test_a_sweep_takes_in_what_has_no_row_and_tells_what_is_lost(stored: Stored):
    with spooled(stored.spool, protocol()) as file:
        file.close()
        stored.blobs.put_if_absent("non-patient/2.25.1.dcm", file.path)
        stored.blobs.put_if_absent("non-patient/2.25.7.dcm", file.path)
    swept = sweep(stored.blobs, stored.index, stored.spool)
    assert swept.adopted.added == 1
    assert [name for name, _ in swept.adopted.failed] == ["non-patient/2.25.7.dcm"]
    assert swept.difference.without_blob == ()
    stored.blobs.delete("non-patient/2.25.1.dcm")
    assert sweep(stored.blobs, stored.index, stored.spool).difference.without_blob == (
        "non-patient/2.25.1.dcm",
    )
