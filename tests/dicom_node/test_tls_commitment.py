"""Storage commitment over TLS: only the archive itself, by its certificate, is asked and believed."""

import ssl

import pytest
from pydicom.uid import generate_uid
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import CTImageStorage, StorageCommitmentPushModel

from dicom_node.commitment_scu import commit
from dicom_node.destinations import Destinations
from dicom_node.peers import Peer
from dicom_node.requestor import AssociationFailed
from dicom_node.tls import Credentials, client_context, server_context
from storage.commitment import Reference
from tests.dicom_node.certificates import Authority
from tests.dicom_node.commitments import INSTANCE
from tests.dicom_node.test_commitment_scu import answer_to


@pytest.fixture(scope="module")
def credentials(tmp_path_factory):
    """Of us, an archive, and somebody else whom the same authority has certified."""
    authority = Authority(tmp_path_factory.mktemp("authority"))
    return {
        name: Credentials(*authority.issue(f"CN={name},O=Example Hospital"), authority.file)
        for name in ("isocenter", "archive", "other")
    }


@pytest.fixture
def ask(credentials, free_port):
    """Ask an archive that shows one certificate and calls back with another."""
    reference = Reference(CTImageStorage, generate_uid())

    def ask(shown, caller, wait=20):
        asked, statuses = [], []

        def call_back(_):
            entity = AE("ARCHIVE")
            entity.add_requested_context(StorageCommitmentPushModel)
            role = build_role(StorageCommitmentPushModel, scp_role=True)
            tls = (client_context(credentials[caller]), "127.0.0.1")
            assoc = entity.associate("127.0.0.1", free_port, ext_neg=[role], tls_args=tls)
            status, _ = assoc.send_n_event_report(
                answer_to(asked[0]), 1, StorageCommitmentPushModel, INSTANCE
            )
            statuses.append(status.Status)
            assoc.release()

        def requested(event):
            asked.append(event.action_information)
            return 0x0000, None

        entity = AE("ARCHIVE")
        entity.add_supported_context(StorageCommitmentPushModel)
        server = entity.start_server(
            ("127.0.0.1", 0),
            block=False,
            ssl_context=server_context(credentials[shown], clients=ssl.CERT_REQUIRED),
            evt_handlers=[(evt.EVT_N_ACTION, requested), (evt.EVT_RELEASED, call_back)],
        )
        port = server.server_address[1]
        peer = Peer("ARCHIVE", "127.0.0.1", port, tls=True, certificate="CN=archive")
        remote = Destinations([peer], "ISOCENTER", credentials["isocenter"]).remote(peer, 20)
        try:
            return commit(remote, [reference], listen=("127.0.0.1", free_port), wait=wait), statuses
        except AssociationFailed as error:
            return str(error), statuses
        finally:
            server.shutdown()

    return ask


def test_archive_with_its_certificate_is_believed(ask, monkeypatch):
    monkeypatch.setattr("dicom_node.commitment_scu._KEPT_OPEN", 0.1)
    answer, statuses = ask("archive", "archive")
    assert answer.complete
    assert statuses == [0x0000]


def test_somebody_else_in_its_place_is_not_asked(ask):
    answer, statuses = ask("other", "archive")
    assert "certificate is of somebody else" in answer
    assert statuses == []


def test_report_of_somebody_else_is_refused(ask, monkeypatch):
    monkeypatch.setattr("dicom_node.commitment_scu._KEPT_OPEN", 0.1)
    answer, statuses = ask("archive", "other", wait=3)
    assert "no answer" in answer
    assert statuses == [0x0124]
