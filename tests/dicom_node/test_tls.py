"""DICOM over TLS: who may connect, with which certificate, and instances that are moved over it."""

import shutil
import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE

from dicom_node.node import Node, Timeouts
from dicom_node.peers import Peer
from dicom_node.requestor import AssociationFailed, Requestor
from dicom_node.send import send
from dicom_node.tls import Credentials, client_context, server_context
from storage.archive import Archive
from storage.blobs.disk import DiskBlobs
from storage.spool import Spool
from storage.sql.engine import connect
from storage.sql.index import SqlIndex
from tests.dicom_node.builders import ct, saved
from tests.dicom_node.certificates import Authority

CT = "1.2.840.10008.5.1.4.1.1.2"
PROPOSAL = (CT, ExplicitVRLittleEndian)
MOVE = "1.2.840.10008.5.1.4.1.2.2.2"


class Files(NamedTuple):
    """Files of an authority, and credentials of the node and of a modality that it certified."""

    authority: Path
    node: Credentials
    ct01: Credentials


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("authority"))
    node, ct01 = (authority.issue(f"CN={name},O=Example Hospital") for name in ("isocenter", "ct01"))
    return Files(authority.file, Credentials(*node, authority.file), Credentials(*ct01, authority.file))


@pytest.fixture
def listening(files):
    return server_context(files.node, clients=ssl.CERT_REQUIRED)


def associate(port, context, calling="CT01"):
    return Requestor(("127.0.0.1", port), "ISOCENTER", calling, [PROPOSAL], tls=context, timeout=20)


def test_peer_with_a_certificate_of_our_authority_is_accepted(start, listening, files):
    _, port = start(tls=listening)
    associate(port, client_context(files.ct01)).release()


def test_peer_without_a_certificate_gets_no_association(start, listening, files):
    _, port = start(tls=listening)
    with pytest.raises(AssociationFailed):
        associate(port, client_context(Credentials(authorities=files.authority)))


def test_peer_with_a_certificate_of_another_authority_gets_no_association(start, listening, files, tmp_path):
    other = Authority(tmp_path, "Other").issue("CN=ct01")
    _, port = start(tls=listening)
    with pytest.raises(AssociationFailed):
        associate(port, client_context(Credentials(*other, files.authority)))


def test_peer_that_speaks_no_tls_gets_no_association(start, listening):
    _, port = start(tls=listening, timeouts=Timeouts(1, 1, 1))
    with pytest.raises(AssociationFailed):
        associate(port, None)


def test_certificate_is_optional_when_the_settings_say_so(start, files):
    context = server_context(files.node, clients=ssl.CERT_OPTIONAL)
    _, port = start(tls=context, peers=[Peer("CT02", certificate="CN=ct02")])
    client = client_context(Credentials(authorities=files.authority))
    associate(port, client).release()
    with pytest.raises(AssociationFailed, match="Calling AE title not recognised"):
        associate(port, client, "CT02")


@pytest.mark.parametrize("subject", ["CN=ct01", "O=Example Hospital", "O=Example Hospital,CN=ct01"])
def test_ae_title_is_bound_to_a_certificate(start, listening, files, subject):
    _, port = start(tls=listening, peers=[Peer("CT01", certificate=subject)])
    associate(port, client_context(files.ct01)).release()
    if "ct01" in subject:
        with pytest.raises(AssociationFailed, match="Calling AE title not recognised"):
            associate(port, client_context(files.node))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_new_versions_are_spoken(start, listening, files, version):
    _, port = start(tls=listening)
    client = client_context(files.ct01)
    client.minimum_version = client.maximum_version = version
    associate(port, client).release()


def test_weak_cipher_suites_are_not_spoken(start, listening, files):
    _, port = start(tls=listening)
    client = client_context(files.ct01)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers("ECDHE+AES:!AESGCM:!AESCCM")  # CBC
    with pytest.raises(AssociationFailed):
        associate(port, client)


@pytest.mark.parametrize("program", ["echoscu", "storescu"])
def test_dcmtk_speaks_tls_with_us(start, files, tmp_path, archive, program):
    _, port = start(tls=server_context(files.node, clients=ssl.CERT_REQUIRED))
    ds = ct()
    sent = [saved(ds, tmp_path)] if program == "storescu" else []
    options = ["+tls", files.ct01.key, files.ct01.certificate, "+cf", files.authority, "-aec", "ISOCENTER"]
    command = [shutil.which(program), *options, "127.0.0.1", str(port), *sent]
    ended = subprocess.run(command, check=False, capture_output=True)
    assert ended.returncode == 0, ended.stderr
    assert not sent or archive.instance(ds.SOPInstanceUID)


@pytest.fixture
def elsewhere(tmp_path, empty_index):
    """Another archive."""
    engine = connect(f"sqlite:///{shutil.copy(empty_index, tmp_path / 'elsewhere.sqlite')}")
    other = Archive(DiskBlobs(tmp_path / "elsewhere"), SqlIndex(engine))
    with Spool(tmp_path / "elsewhere-spool") as spool:
        yield other, spool, tmp_path
    other.close()
    engine.dispose()


@pytest.mark.parametrize(("certificate", "moved"), [("", True), ("CN=isocenter", True), ("CN=ct01", False)])
def test_instances_are_moved_over_tls(start, files, elsewhere, certificate, moved):
    listening = server_context(files.node, clients=ssl.CERT_REQUIRED)
    archive, spool, folder = elsewhere
    receiver = Node(archive, spool, aet="ELSEWHERE", host="127.0.0.1", port=0, tls=listening)
    peer = Peer("ELSEWHERE", "127.0.0.1", receiver.start(), tls=True, certificate=certificate)
    _, port = start(peers=[peer], outgoing_tls=files.node)
    ds = ct()
    send([saved(ds, folder)], "127.0.0.1", port, "ISOCENTER", "CT01")
    try:
        assert (move(port, ds.StudyInstanceUID) == 0) is moved
    finally:
        receiver.stop(grace=5)
    assert bool(stored(archive, ds)) is moved


def stored(archive, ds):
    return [event.sop for event in archive.events() if event.sop == ds.SOPInstanceUID]


def move(port, study):
    entity = AE("CT01")
    entity.add_requested_context(MOVE)
    assoc = entity.associate("127.0.0.1", port, ae_title="ISOCENTER")
    asked = Dataset()
    asked.QueryRetrieveLevel, asked.StudyInstanceUID = "STUDY", study
    statuses = [status.Status for status, _ in assoc.send_c_move(asked, "ELSEWHERE", MOVE)]
    assoc.release()
    return statuses[-1]
