"""Rejected instances over DIMSE: hidden from peers, but from those whose work they are."""

import pydicom
import pytest
from pydicom.filebase import DicomBytesIO
from pynetdicom import AE
from pynetdicom.sop_class import (
    CTImageStorage,
    KeyObjectSelectionDocumentStorage,
    StudyRootQueryRetrieveInformationModelFind,
)

from dicom_node.identifier import Identifier
from dicom_node.peers import Peer
from dicom_node.suboperations import select
from tests.storage.builders import NOTE, STUDY, part10, rejection_note


def data_set(data):
    return pydicom.dcmread(DicomBytesIO(data))


@pytest.fixture
def port(start):
    _, port = start(peers=[Peer("QUALITY", rejected=True)])
    entity = AE("CT1")
    entity.add_requested_context(CTImageStorage)
    entity.add_requested_context(KeyObjectSelectionDocumentStorage)
    assoc = entity.associate("127.0.0.1", port, ae_title="ISOCENTER")
    for each in (part10(SOPInstanceUID="1.5.1"), part10(SOPInstanceUID="1.5.2"), rejection_note("1.5.1")):
        assert assoc.send_c_store(data_set(each)).Status == 0
    assoc.release()
    return port


def found(port, aet):
    entity = AE(aet)
    entity.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
    assoc = entity.associate("127.0.0.1", port, ae_title="ISOCENTER")
    asked = pydicom.Dataset()
    asked.QueryRetrieveLevel, asked.StudyInstanceUID, asked.SOPInstanceUID = "IMAGE", STUDY, ""
    responses = list(assoc.send_c_find(asked, StudyRootQueryRetrieveInformationModelFind))
    assoc.release()
    return {answer.SOPInstanceUID for _, answer in responses if answer}


def test_peers_find_what_is_in_use_and_quality_control_all(port):
    assert found(port, "ANY") == {"1.5.2"}
    assert found(port, "QUALITY") == {"1.5.1", "1.5.2", NOTE}


@pytest.mark.parametrize("level", ["STUDY", "IMAGE"])
def test_retrievals_leave_out_what_is_rejected(port, archive, level):
    named = {
        "0020000D": {"vr": "UI", "Value": [STUDY]},
        "00080018": {"vr": "UI", "Value": ["1.5.1", "1.5.2"]},
    }
    identifier = Identifier(named, ())
    assert {each.key.sop for each in select(archive, level, identifier)} == {"1.5.2"}
    assert "1.5.1" in {each.key.sop for each in select(archive, level, identifier, rejected=True)}
