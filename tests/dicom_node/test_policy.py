"""What known peers may do, how many they may be, and what happens when the disk is nearly full."""

import io
import ipaddress

import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit
from pynetdicom import AE
from pynetdicom.presentation import build_role

from dicom_node.identity import Identities
from dicom_node.offer import service_of
from dicom_node.peers import Peer
from dicom_node.requestor import AssociationFailed, Requestor
from dicom_node.send import VERIFICATION, echo, send
from storage.spool import Spool
from tests.dicom_node.builders import ct, encoded, saved

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
STORE, STORE_MR = (CT, ExplicitVRLittleEndian), (MR, ExplicitVRLittleEndian)
FIND, MOVE, GET = ((f"1.2.840.10008.5.1.4.1.2.2.{number}", ExplicitVRLittleEndian) for number in (1, 2, 3))
EVERYTHING = (VERIFICATION, STORE, STORE_MR, FIND, MOVE, GET)
NETWORK = ipaddress.ip_network("127.0.0.0/8")
ELSEWHERE = ipaddress.ip_network("192.0.2.0/24")


def associate(port, proposals=(STORE,), calling="TEST"):
    return Requestor(("127.0.0.1", port), "ISOCENTER", calling, proposals, timeout=20)


def accepted(port, proposals=EVERYTHING):
    with associate(port, proposals) as association:
        return {proposal for proposal in proposals if association.accepts(proposal)}


# Where they come from


@pytest.mark.parametrize("known", [True, False])
def test_peer_of_another_network_is_refused_under_a_bound_ae_title(start, known):
    peers = [Peer("TEST", addresses=(ELSEWHERE,)), Peer("HERE", addresses=(ELSEWHERE, NETWORK))]
    _, port = start(peers=peers, require_known_peers=known)
    associate(port, calling="HERE").release()
    with pytest.raises(AssociationFailed, match=r"Calling AE title not recognised.*Permanent"):
        associate(port)


def test_one_ae_title_at_two_places_is_two_peers(start):
    here, there = (
        Peer("TEST", addresses=(network,), services=frozenset({service}))
        for network, service in ((NETWORK, "find"), (ELSEWHERE, "store"))
    )
    _, port = start(peers=[there, here])
    assert accepted(port) == {VERIFICATION, FIND}


# What they may do


@pytest.mark.parametrize(
    ("services", "proposals"),
    [
        ({"store"}, {STORE, STORE_MR}),
        ({"find"}, {FIND}),
        ({"find", "move"}, {FIND, MOVE}),
        ({"get"}, {GET}),  # storage classes only in the other role
        (set(), set()),
    ],
)
def test_peer_may_use_the_services_of_the_settings(start, services, proposals):
    _, port = start(peers=[Peer("TEST", services=frozenset(services))])
    assert accepted(port) == {VERIFICATION, *proposals}


def test_peer_may_use_the_sop_classes_and_transfer_syntaxes_of_the_settings(start):
    peer = Peer(
        "TEST", sop_classes=frozenset({CT}), transfer_syntaxes=(ImplicitVRLittleEndian, JPEGBaseline8Bit)
    )
    _, port = start(peers=[peer])
    implicit, jpeg = (CT, ImplicitVRLittleEndian), (CT, JPEGBaseline8Bit)
    assert accepted(port, (*EVERYTHING, implicit, jpeg)) == {VERIFICATION, FIND, MOVE, GET, implicit, jpeg}


def test_of_several_transfer_syntaxes_the_first_of_the_settings_is_taken(start):
    _, port = start(peers=[Peer("TEST", transfer_syntaxes=(ImplicitVRLittleEndian, ExplicitVRLittleEndian))])
    entity = AE("TEST")
    entity.add_requested_context(CT, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    assoc = entity.associate("127.0.0.1", port, ae_title="ISOCENTER")
    assert assoc.accepted_contexts[0].transfer_syntax == [ImplicitVRLittleEndian]
    assoc.release()


@pytest.mark.parametrize(
    ("services", "roles"),
    [({"get"}, (False, True)), ({"store"}, (True, False)), ({"store", "get"}, (True, True))],
)
def test_role_of_a_storage_class_is_what_the_peer_may_do(start, services, roles):
    _, port = start(peers=[Peer("TEST", services=frozenset(services))])
    entity = AE("TEST")
    entity.add_requested_context(CT, ExplicitVRLittleEndian)
    role = build_role(CT, scu_role=True, scp_role=True)
    assoc = entity.associate("127.0.0.1", port, ae_title="ISOCENTER", ext_neg=[role])
    (context,) = assoc.accepted_contexts
    assert (context.as_scu, context.as_scp) == roles
    assoc.release()


@pytest.mark.parametrize(
    ("uid", "service"),
    [
        ("1.2.840.10008.1.1", "echo"),
        ("1.2.840.10008.1.20.1", "commit"),
        ("1.2.840.10008.3.1.2.3.3", "mpps"),
        ("1.2.840.10008.5.1.4.34.6.3", "ups"),
        ("1.2.840.10008.5.1.4.31", "worklist"),
        ("1.2.840.10008.5.1.4.1.2.2.2", "move"),
        ("1.2.3.4", "store"),
    ],
)
def test_service_of_a_sop_class(uid, service):
    assert service_of(uid) == service


# How many they may be


def test_peer_with_too_many_associations_is_refused_for_the_moment_and_no_other(start):
    _, port = start(peers=[Peer("TEST", max_associations=1)])
    with associate(port):
        with pytest.raises(AssociationFailed, match=r"Local limit exceeded.*Transient"):
            associate(port)
        associate(port, calling="OTHER").release()


def test_nearly_full_disk_refuses_storage_and_nothing_else(start, tmp_path, caplog, monkeypatch):
    node, port = start()
    with Spool(tmp_path / "full", reserve=1 << 60) as full:
        monkeypatch.setattr(node, "_spool", full)
        with pytest.raises(AssociationFailed, match=r"Temporary congestion.*Transient"):
            associate(port, (VERIFICATION, STORE))
        assert "MB are free on the spool's disk" in caplog.messages[0]
        assert accepted(port, (FIND, STORE)) == {FIND, STORE}
        echo("127.0.0.1", port, "ISOCENTER", "TEST")


def test_disk_that_fills_up_within_an_association_is_out_of_resources(start, tmp_path, spool, monkeypatch):
    _, port = start()
    files = [saved(ct(), tmp_path)]
    monkeypatch.setattr("dicom_node.node.only_stores", lambda _: False)
    spool._reserve = 1 << 60
    (result,) = send(files, "127.0.0.1", port, "ISOCENTER", "TEST")
    assert (result.status, result.stored) == (0xA700, False)
    spool._reserve = 0
    (result,) = send(files, "127.0.0.1", port, "ISOCENTER", "TEST")
    assert result.stored


# Reloading


def test_peers_change_while_associations_go_on(start):
    node, port = start(peers=[Peer("TEST")], require_known_peers=True)
    with associate(port) as association:
        node.replace_peers([Peer("OTHER")], Identities(), require_known_peers=True)
        with pytest.raises(AssociationFailed, match="Calling AE title not recognised"):
            associate(port)
        associate(port, calling="OTHER").release()
        ds = ct()
        assert association.store(STORE, ds.SOPInstanceUID, io.BytesIO(encoded(ds))).stored
