"""Instances that belong to no patient, stored and found over an association."""

from io import BytesIO

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE

from dicom_node.non_patient import non_patient_queries

STORAGE, FIND = "1.2.840.10008.5.1.4.38.1", "1.2.840.10008.5.1.4.38.2"


@pytest.fixture
def assoc(start, archive):
    _, port = start(worklists=non_patient_queries(archive.non_patient))
    entity = AE("WORKSTATION")
    entity.add_requested_context(STORAGE, ExplicitVRLittleEndian)
    entity.add_requested_context(FIND)
    assoc = entity.associate("127.0.0.1", port, ae_title="ISOCENTER")
    assert assoc.is_established
    yield assoc
    assoc.release()


def protocol(name, sop="2.25.1"):
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = STORAGE, sop
    ds.HangingProtocolName, ds.HangingProtocolLevel = name, "SITE"
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def names(assoc, pattern):
    identifier = Dataset()
    identifier.HangingProtocolName, identifier.SOPInstanceUID = pattern, ""
    *answers, (last, _) = assoc.send_c_find(identifier, FIND)
    assert last.Status == 0
    return [answer.HangingProtocolName for _, answer in answers]


def test_stored_protocols_are_found(assoc, archive):
    for number, name in enumerate(("Chest pair", "Knee")):
        assert assoc.send_c_store(protocol(name, f"2.25.{number}")).Status == 0
    assert names(assoc, "") == ["Knee", "Chest pair"]
    assert names(assoc, "Ch*") == ["Chest pair"]
    stored = b"".join(archive.non_patient.stream(archive.non_patient.instance("2.25.0")))
    assert pydicom.dcmread(BytesIO(stored)).HangingProtocolName == "Chest pair"


def test_other_bytes_are_refused_and_the_same_are_not(assoc):
    assert assoc.send_c_store(protocol("Chest pair")).Status == 0
    assert assoc.send_c_store(protocol("Chest pair")).Status == 0
    assert assoc.send_c_store(protocol("Other")).Status == 0xC111
