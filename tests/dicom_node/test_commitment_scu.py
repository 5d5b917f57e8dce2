"""Asking other archives for storage commitment: here they are pynetdicom and ourselves."""

import threading
from contextlib import contextmanager

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, generate_uid
from pynetdicom import AE, evt
from pynetdicom.presentation import build_role
from pynetdicom.sop_class import StorageCommitmentPushModel

from dicom_node.commitment import StorageCommitment
from dicom_node.commitment_scu import commit
from dicom_node.requestor import AssociationFailed
from dicom_node.scu import Remote
from dicom_node.send import send
from storage.commitment import Reference
from storage.sql.commitments import SqlCommitments
from storage.sql.engine import connect
from tests.dicom_node.builders import ct, saved
from tests.dicom_node.commitments import INSTANCE


def remote(port):
    return Remote("127.0.0.1", port, "ARCHIVE", "MODALITY", timeout=10)


def reference():
    return Reference(CTImageStorage, generate_uid())


@contextmanager
def archive_that(answers, *, status=0x0000):
    """An archive that gets the Action Information of each request."""

    def handle(event):
        threading.Thread(target=answers, args=(event.assoc, event.action_information)).start()
        return status, None

    entity = AE("ARCHIVE")
    entity.add_supported_context(StorageCommitmentPushModel)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_N_ACTION, handle)])
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


def answer_to(asked: Dataset, *, failed=0):
    told = Dataset()
    told.TransactionUID = asked.TransactionUID
    told.ReferencedSOPSequence = asked.ReferencedSOPSequence[failed:]
    told.FailedSOPSequence = asked.ReferencedSOPSequence[:failed]
    for item in told.FailedSOPSequence:
        item.FailureReason = 0x0112
    return told


def test_archive_answers_by_itself_while_we_listen(free_port):
    def call_back(_, asked):
        entity = AE("ARCHIVE")
        entity.add_requested_context(StorageCommitmentPushModel)
        role = build_role(StorageCommitmentPushModel, scp_role=True)
        assoc = entity.associate("127.0.0.1", free_port, ae_title="MODALITY", ext_neg=[role])
        wrong = answer_to(asked)
        wrong.TransactionUID = "1.2.3"
        for told in (wrong, answer_to(asked, failed=1)):
            assoc.send_n_event_report(told, 2, StorageCommitmentPushModel, INSTANCE)
        assoc.release()

    lost, kept = reference(), reference()
    with archive_that(call_back) as port:
        answer = commit(remote(port), [lost, kept], listen=("127.0.0.1", free_port), wait=20)
    assert answer.committed == (kept,)
    assert answer.failed == ((lost, 0x0112),)
    assert not answer.complete


def test_what_the_answer_does_not_name_is_not_committed(free_port):
    def forget_one(_, asked):
        told = answer_to(asked)
        del told.ReferencedSOPSequence[0]
        entity = AE("ARCHIVE")
        entity.add_requested_context(StorageCommitmentPushModel)
        role = build_role(StorageCommitmentPushModel, scp_role=True)
        assoc = entity.associate("127.0.0.1", free_port, ae_title="MODALITY", ext_neg=[role])
        assoc.send_n_event_report(told, 1, StorageCommitmentPushModel, INSTANCE)
        assoc.release()

    forgotten, kept = reference(), reference()
    with archive_that(forget_one) as port:
        answer = commit(remote(port), [forgotten, kept], listen=("127.0.0.1", free_port), wait=20)
    assert answer.unanswered == (forgotten,)
    assert not answer.complete


def test_refusal_tells_its_status():
    with (
        archive_that(lambda *_: None, status=0x0213) as port,
        pytest.raises(AssociationFailed, match="0x0213"),
    ):
        commit(remote(port), [reference()])


def test_archive_that_never_answers_is_given_up():
    with archive_that(lambda *_: None) as port, pytest.raises(AssociationFailed, match="no answer"):
        commit(remote(port), [reference()], wait=0.2)


def test_archive_without_the_service_is_named(port):
    with pytest.raises(AssociationFailed, match="does not offer Storage Commitment"):
        commit(Remote("127.0.0.1", port, "ISOCENTER", "MODALITY"), [reference()])


def test_our_own_archive_answers_on_the_same_association(start, archive, tmp_path):
    engine = connect(f"sqlite:///{tmp_path / 'index.sqlite'}")
    service = StorageCommitment(archive, SqlCommitments(engine), aet="ISOCENTER", read_up_to=1 << 30)
    port, image = start(services=[service])[1], ct()
    send([saved(image, tmp_path)], "127.0.0.1", port, "ISOCENTER", "MODALITY")
    kept = Reference(image.SOPClassUID, image.SOPInstanceUID)
    answer = commit(Remote("127.0.0.1", port, "ISOCENTER", "MODALITY"), [kept])
    engine.dispose()
    assert answer.committed == (kept,)
    assert answer.complete
