"""Who may associate, and how associations end."""

import logging
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE, evt
from pynetdicom.presentation import build_role

from dicom_node.node import Timeouts
from dicom_node.peers import Peer
from dicom_node.requestor import AssociationFailed
from dicom_node.send import send
from storage.blobs.disk import DiskBlobs
from storage.errors import UnknownInstance
from tests.dicom_node.associating import (
    CT,
    PROPOSAL,
    SECONDS,
    associate,
    begin_instance,
    ended,
    eventually,
    open_file,
    spooled,
)
from tests.dicom_node.builders import ct, encoded, saved


def test_wrong_called_ae_title_is_refused_as_such(port):
    with pytest.raises(AssociationFailed, match="Called AE title not recognised"):
        associate(port, called="OTHER")


def test_called_ae_title_is_free_when_the_settings_say_so(start):
    _, port = start(require_called_aet=False)
    associate(port, called="OTHER").release()


@pytest.mark.parametrize(
    "peers", [[], [Peer("OTHER", "")], [Peer("TEST", "192.0.2.1")], [Peer("TEST", "no.invalid")]]
)
def test_unknown_peer_is_refused_as_such(start, peers):
    _, port = start(require_known_peers=True, peers=peers)
    with pytest.raises(AssociationFailed, match="Calling AE title not recognised"):
        associate(port)


@pytest.mark.parametrize("host", ["", "127.0.0.1", "localhost"])
def test_known_peer_is_accepted(start, host):
    _, port = start(require_known_peers=True, peers=[Peer("OTHER", "192.0.2.1"), Peer("TEST", host)])
    associate(port).release()


def test_one_association_too_many_is_refused_for_the_moment(start):
    _, port = start(max_associations=2)
    with associate(port), associate(port):
        with pytest.raises(AssociationFailed, match=r"Local limit exceeded.*Transient"):
            associate(port)
        associate_when_free = associate
    eventually(lambda: can(associate_when_free, port))


def can(associate, port):
    try:
        associate(port).release()
    except AssociationFailed:
        return False
    return True


def test_nodes_that_share_a_port_take_turns(start):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        nodes = [start(shared=listening.dup())[0] for _ in range(2)]
        port = listening.getsockname()[1]
        with ExitStack() as stack:
            for _ in range(6):
                stack.enter_context(associate(port))
            assert [len(node._active) for node in nodes] == [3, 3]
        nodes[0].stop()
        with associate(port):
            eventually(lambda: [len(node._active) for node in nodes] == [0, 1])


def test_far_too_many_connections_are_closed_unheard(start):
    _, port = start(max_associations=1)
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
    try:
        with pytest.raises(AssociationFailed):
            associate(port)
    finally:
        for each in idle:
            each.close()
    eventually(lambda: can(associate, port))


def test_what_is_not_offered_is_refused_by_context(port):
    unknown, private = ("1.2.840.10008.5.1.4.31", "1.2.840.10008.1.2"), (CT, "1.2.3.4")
    with associate(port, proposals=[PROPOSAL, unknown, private]) as association:
        assert [association.accepts(each) for each in (PROPOSAL, unknown, private)] == [True, False, False]


# How associations end


def test_release_ends_the_delivery_and_says_so_in_one_line(port, archive, tmp_path, caplog):
    caplog.set_level(logging.INFO, "dicom_node")
    files = [saved(ct(), tmp_path) for _ in range(3)]
    assert all(result.stored for result in send(files, "127.0.0.1", port, "ISOCENTER", "CT01"))
    eventually(lambda: len(ended(archive)) == 3)
    (line,) = caplog.messages
    assert line.startswith("association released: CT01 at 127.0.0.1 to ISOCENTER: 3 stored, 0 refused, ")


def test_refusal_is_named_in_the_log(port, caplog):
    with associate(port) as association:
        association.store(PROPOSAL, "1.2.3", open_file(b"garbage!"))
    (line,) = [record.message for record in caplog.records if record.name == "dicom_node.receiver"]
    assert line.startswith("TEST: 1.2.3 refused with 0xC000: ")


@pytest.mark.parametrize("how", ["abort", "close", "reset"])
def test_peer_that_leaves_within_an_instance_leaves_nothing_half_stored(port, archive, spool, how):
    whole, half = ct(), ct(PixelData=bytes(1 << 20))
    association = associate(port)
    assert association.store(PROPOSAL, whole.SOPInstanceUID, open_file(encoded(whole))).stored
    begin_instance(association, half)
    eventually(lambda: spooled(spool))
    if how == "reset":
        association._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if how == "abort":
        association.abort()
    else:
        association._socket.close()
    eventually(lambda: spooled(spool) == [])
    assert archive.instance(whole.SOPInstanceUID)
    assert ended(archive) == []  # perhaps not all of the series came: it has to wait for a quiet time
    with pytest.raises(UnknownInstance):
        archive.instance(half.SOPInstanceUID)


def test_stop_lets_an_association_finish_its_work(start, archive):
    node, port = start()
    first, second = ct(), ct()
    with associate(port) as association:
        assert association.store(PROPOSAL, first.SOPInstanceUID, open_file(encoded(first))).stored
        stopping = threading.Thread(target=node.stop)
        stopping.start()
        assert association.store(PROPOSAL, second.SOPInstanceUID, open_file(encoded(second))).stored
    stopping.join(SECONDS)
    assert not stopping.is_alive()
    assert archive.instance(second.SOPInstanceUID)
    with pytest.raises(AssociationFailed, match="cannot connect"):
        associate(port)


def test_stop_aborts_who_does_not_end_and_keeps_what_was_acknowledged(start, archive, spool):
    node, port = start()
    stored, half = ct(), ct(PixelData=bytes(1 << 20))
    association = associate(port)
    assert association.store(PROPOSAL, stored.SOPInstanceUID, open_file(encoded(stored))).stored
    begin_instance(association, half)
    node.stop(grace=0)
    with pytest.raises(AssociationFailed, match="abort"):
        association._answer()
    association._socket.close()
    assert archive.instance(stored.SOPInstanceUID)
    assert (ended(archive), spooled(spool)) == ([], [])


def test_stop_before_start_and_twice_is_harmless(start):
    node, _ = start()
    node.stop(grace=0)
    node.stop(grace=0)


class SlowBlobs(DiskBlobs):
    def __init__(self, root):
        super().__init__(root)
        self.asked, self.go = threading.Event(), threading.Event()

    def put_if_absent(self, name, source, *, settled=True):
        self.asked.set()
        assert self.go.wait(SECONDS)
        return super().put_if_absent(name, source, settled=settled)


def test_what_is_being_stored_when_we_stop_is_stored_and_answered(start, archive, tmp_path):
    blobs = archive._ingest._blobs = SlowBlobs(tmp_path / "slow")
    node, port = start()
    ds = ct()
    association = associate(port)
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(association.store, PROPOSAL, ds.SOPInstanceUID, open_file(encoded(ds)))
        assert blobs.asked.wait(SECONDS)
        stopping = pool.submit(node.stop, grace=0)
        blobs.go.set()
        stopping.result(SECONDS)
        assert answer.result(SECONDS).status == 0
    association._socket.close()
    assert archive.instance(ds.SOPInstanceUID)


def test_long_store_is_no_silence(start, archive, tmp_path):
    blobs = archive._ingest._blobs = SlowBlobs(tmp_path / "slow")
    _, port = start(timeouts=Timeouts(1, 1, 1))
    ds = ct()
    with associate(port) as association, ThreadPoolExecutor() as pool:
        answer = pool.submit(association.store, PROPOSAL, ds.SOPInstanceUID, open_file(encoded(ds)))
        assert blobs.asked.wait(SECONDS)
        time.sleep(3)
        blobs.go.set()
        assert answer.result(SECONDS).status == 0


def test_silent_association_is_aborted(start):
    _, port = start(timeouts=Timeouts(1, 1, 1))
    association = associate(port)
    with pytest.raises(AssociationFailed, match="aborted"):
        association._answer()
    association._socket.close()


# Many peers, other transports


def test_many_associations_at_once(port, archive, tmp_path):
    study = generate_uid()
    sets = [[saved(ct(StudyInstanceUID=study), tmp_path) for _ in range(2)] for _ in range(50)]
    with ThreadPoolExecutor(50) as pool:
        results = list(pool.map(lambda files: send(files, "127.0.0.1", port, "ISOCENTER", "TEST"), sets))
    assert all(result.stored for some in results for result in some)
    assert len(archive.instances(study)) == 100


@pytest.fixture
def tls(tmp_path):
    """Contexts of a server and of a client that trusts it."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = (
        f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -keyout {key} "
    )
    command += f"-out {certificate} -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(command.split(), check=True, capture_output=True)
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=certificate)
    server.load_cert_chain(certificate, key)
    return server, client, certificate


def test_tls(start, archive, tmp_path, tls):
    server, client, certificate = tls
    _, port = start(tls=server)
    stalled = socket.create_connection(("127.0.0.1", port))
    ds = ct(PixelData=bytes(3 << 20))
    (result,) = send([saved(ds, tmp_path)], "127.0.0.1", port, "ISOCENTER", "TEST", tls=client)
    assert result.stored, result.reason
    assert archive.instance(ds.SOPInstanceUID)
    echoscu = [
        shutil.which("echoscu"),
        "+tla",
        "+cf",
        certificate,
        "-aec",
        "ISOCENTER",
        "127.0.0.1",
        str(port),
    ]
    assert subprocess.run(echoscu, check=False).returncode == 0
    with pytest.raises(AssociationFailed):
        associate(port)
    stalled.close()


def test_retrieval_over_tls(start, archive, tmp_path, tls):
    server, client, _ = tls
    _, port = start(tls=server)
    sets = [ct(StudyInstanceUID="1.2.3", PixelData=bytes(3 << 20)) for _ in range(5)]
    send([saved(ds, tmp_path) for ds in sets], "127.0.0.1", port, "ISOCENTER", "TEST", tls=client)
    got = []

    def take(event):
        got.append(event.request.AffectedSOPInstanceUID)
        return 0

    model = "1.2.840.10008.5.1.4.1.2.2.3"
    entity = AE("TEST")
    entity.add_requested_context(model)
    entity.add_requested_context(CT, ExplicitVRLittleEndian)
    options = {"ext_neg": [build_role(CT, scp_role=True)], "evt_handlers": [(evt.EVT_C_STORE, take)]}
    assoc = entity.associate(
        "127.0.0.1", port, ae_title="ISOCENTER", tls_args=(client, "127.0.0.1"), **options
    )
    asked = Dataset()
    asked.QueryRetrieveLevel, asked.StudyInstanceUID = "STUDY", "1.2.3"
    statuses = [status.Status for status, _ in assoc.send_c_get(asked, model)]
    assoc.release()
    assert (statuses[0], statuses[-1]) == (0xFF00, 0x0000)
    assert sorted(got) == sorted(ds.SOPInstanceUID for ds in sets)


def test_pynetdicom_aborts_and_others_go_on(port, archive):
    entity = AE("OTHER")
    entity.add_requested_context(CT, ExplicitVRLittleEndian)
    one = entity.associate("127.0.0.1", port, ae_title="ISOCENTER")
    two = entity.associate("127.0.0.1", port, ae_title="ISOCENTER")
    one.abort()
    assert two.send_c_store(ct()).Status == 0
    two.release()
