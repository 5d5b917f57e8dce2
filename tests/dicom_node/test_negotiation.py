"""Extended negotiation: what is agreed to, and that it works."""

import pytest
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE
from pynetdicom.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
)

from dicom_node import command
from dicom_node.negotiation import WINDOW
from dicom_node.peers import Peer
from dicom_node.requestor import Requestor
from tests.dicom_node.builders import ct, encoded

CT = "1.2.840.10008.5.1.4.1.1.2"
FIND, MOVE = "1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.5.1.4.1.2.2.2"
STORAGE, OTHER_SERVICE = "1.2.840.10008.4.2", "1.2.3.4"
VENDOR = "1.2.826.0.1.3680043.8.498.1"


def associate(port, uid, *items):
    entity = AE("TEST")
    entity.add_requested_context(uid, ExplicitVRLittleEndian)
    return entity.associate("127.0.0.1", port, ae_title="ISOCENTER", ext_neg=list(items))


@pytest.mark.parametrize(
    ("uid", "asked", "agreed"),
    [
        (CT, bytes((3, 0, 0, 0, 2, 0)), bytes((2, 0, 3, 0, 0, 0))),
        (CT, b"\3", b"\2"),
        (FIND, b"\0\0\0\0\0", b"\1\0\0\0\0"),
        (FIND, b"\1\1\1\1\1", b"\1\1\1\1\0"),
        (FIND, b"\1", b"\1"),
        (FIND, b"\1\1", b"\1\1"),
        (MOVE, b"\1\1", b"\1\0"),
        ("1.2.840.10008.1.1", b"\1", None),
    ],
)
def test_application_information_says_what_is_done(port, uid, asked, agreed):
    item = SOPClassExtendedNegotiation()
    item.sop_class_uid, item.service_class_application_information = uid, asked
    assoc = associate(port, uid, item)
    assert assoc.acceptor.sop_class_extended.get(uid) == agreed
    assoc.release()


def common(service_class):
    item = SOPClassCommonExtendedNegotiation()
    item.sop_class_uid, item.service_class_uid = VENDOR, service_class
    return item


def test_class_that_is_declared_as_storage_is_stored(port, archive):
    assoc = associate(port, VENDOR, common(STORAGE))
    ds = ct(SOPClassUID=VENDOR)
    assert assoc.send_c_store(ds).Status == 0
    assoc.release()
    assert archive.instance(ds.SOPInstanceUID).sop_class == VENDOR


@pytest.mark.parametrize("items", [[], [common(OTHER_SERVICE)]])
def test_class_that_nobody_knows_is_not(port, items):
    assoc = associate(port, VENDOR, *items)
    assert not assoc.is_established


def test_class_that_is_declared_as_storage_is_not_for_who_may_not_store(start):
    _, port = start(peers=[Peer("TEST", services=frozenset({"find"}))])
    assert not associate(port, VENDOR, common(STORAGE)).is_established


@pytest.mark.parametrize(
    ("asked", "agreed"),
    [((8, 3), (8, 1)), ((0, 0), (WINDOW, 1)), ((60000, 1), (WINDOW, 1)), ((1, 1), (1, 1))],
)
def test_window_of_operations(port, asked, agreed):
    item = AsynchronousOperationsWindowNegotiation()
    item.maximum_number_operations_invoked, item.maximum_number_operations_performed = asked
    assoc = associate(port, CT, item)
    assert assoc.acceptor.asynchronous_operations == agreed
    assoc.release()


def test_as_many_instances_as_the_window_holds_are_stored_in_order(port, archive):
    study = generate_uid()
    sets = [ct(StudyInstanceUID=study, PixelData=bytes(1 << 16)) for _ in range(WINDOW)]
    proposal = (CT, ExplicitVRLittleEndian)
    with Requestor(("127.0.0.1", port), "ISOCENTER", "TEST", [proposal], timeout=20) as association:
        for number, ds in enumerate(sets, 1):
            request = command.c_store_rq(number, CT, ds.SOPInstanceUID)
            association._send_message(1, request, [encoded(ds)])
        assert [association._answer().status for _ in sets] == [0] * WINDOW
    assert len(archive.instances(study)) == WINDOW
