"""Storage commitment: what is really there is committed, and the peer hears of it in the end."""

from datetime import timedelta

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage, generate_uid

from dicom_node.commitment import StorageCommitment, now
from dicom_node.commitment_reports import CommitmentReports
from dicom_node.destinations import Destinations
from dicom_node.peers import Peer
from dicom_node.send import send
from dicom_node.tls import Credentials
from storage.errors import StorageDown
from storage.sql.commitments import SqlCommitments
from storage.sql.engine import connect
from tests.dicom_node.builders import ct, saved
from tests.dicom_node.commitments import Told, ask, associated, listening, request

EVERYTHING = 1 << 40


@pytest.fixture
def engine(archive, tmp_path):
    engine = connect(f"sqlite:///{tmp_path / 'index.sqlite'}")
    yield engine
    engine.dispose()


@pytest.fixture
def commitments(engine):
    return SqlCommitments(engine)


@pytest.fixture
def committing(start, archive, commitments):
    """A function that starts a node that commits; its port."""

    def started(**options):
        service = StorageCommitment(
            archive, commitments, aet="ISOCENTER", **{"read_up_to": EVERYTHING} | options
        )
        return start(services=[service])[1]

    return started


@pytest.fixture
def reports(archive, commitments):
    """A function that makes what tells a peer at a port."""

    def made(port, *, max_attempts=3):
        known = [Peer("MODALITY", "127.0.0.1", port)] if port else []
        return CommitmentReports(
            archive,
            commitments,
            aet="ISOCENTER",
            destinations=lambda: Destinations(known, "ISOCENTER", Credentials()),
            read_up_to=EVERYTHING,
            max_attempts=max_attempts,
            timeout=10,
        )

    return made


@pytest.fixture
def store(tmp_path):
    def stored(port, *instances):
        files = [saved(each, tmp_path) for each in instances]
        assert all(each.stored for each in send(files, "127.0.0.1", port, "ISOCENTER", "MODALITY"))

    return stored


def uids(sequence):
    return [str(item.ReferencedSOPInstanceUID) for item in sequence]


def failures(told: Dataset):
    return {str(item.ReferencedSOPInstanceUID): item.FailureReason for item in told.FailedSOPSequence}


def only_due(commitments):
    (due,) = commitments.take_due(now() + timedelta(days=1), timedelta())
    return due


def test_what_is_stored_is_committed_on_the_same_association(committing, store, commitments):
    port, told, images = committing(), Told(), [ct(), ct()]
    store(port, *images)
    asked = request(*images)
    with associated(port, told) as assoc:
        assert ask(assoc, asked) == 0x0000
        event, information = told.wait()
    assert event == 1
    assert information.TransactionUID == asked.TransactionUID
    assert information.RetrieveAETitle == "ISOCENTER"
    assert uids(information.ReferencedSOPSequence) == [image.SOPInstanceUID for image in images]
    assert "FailedSOPSequence" not in information
    (kept,) = commitments.latest()
    assert (kept.state, kept.failed, kept.peer) == ("reported", 0, "MODALITY")


def test_each_failure_has_its_reason(committing, store, archive, tmp_path):
    port, told = committing(), Told()
    good, damaged, cut, other_class, absent = (ct() for _ in range(5))
    store(port, good, damaged, cut, other_class)
    blob = tmp_path / "objects" / archive.instance(damaged.SOPInstanceUID).blob
    blob.chmod(0o600)
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.write_bytes(content)
    blob = tmp_path / "objects" / archive.instance(cut.SOPInstanceUID).blob
    blob.chmod(0o600)
    blob.write_bytes(blob.read_bytes()[:-2])
    other_class.SOPClassUID = MRImageStorage
    with associated(port, told) as assoc:
        assert ask(assoc, request(good, damaged, cut, other_class, absent)) == 0x0000
        event, information = told.wait()
    assert event == 2
    assert uids(information.ReferencedSOPSequence) == [good.SOPInstanceUID]
    assert failures(information) == {
        damaged.SOPInstanceUID: 0x0110,
        cut.SOPInstanceUID: 0x0110,
        other_class.SOPInstanceUID: 0x0119,
        absent.SOPInstanceUID: 0x0112,
    }


def test_bigger_files_are_not_read_again(committing, store, archive, tmp_path):
    port, told, damaged = committing(read_up_to=100), Told(), ct()
    store(port, damaged)
    blob = tmp_path / "objects" / archive.instance(damaged.SOPInstanceUID).blob
    blob.chmod(0o600)
    blob.write_bytes(bytes(blob.stat().st_size))
    with associated(port, told) as assoc:
        ask(assoc, request(damaged))
        assert told.wait()[0] == 1


def test_peer_that_has_left_is_told_on_an_association_of_ours(committing, store, commitments, reports):
    port, told, image = committing(same_association=False), Told(), ct()
    store(port, image)
    with associated(port, Told()) as assoc:
        assert ask(assoc, request(image)) == 0x0000
    with listening(told) as theirs:
        assert reports(theirs).tell(only_due(commitments))
    event, information = told.wait()
    assert event == 1
    assert uids(information.ReferencedSOPSequence) == [image.SOPInstanceUID]
    assert told.calling == ["ISOCENTER"]
    assert commitments.latest()[0].state == "reported"


def test_request_survives_a_restart(committing, store, reports, engine):
    port, told, image = committing(same_association=False), Told(), ct()
    store(port, image)
    with associated(port, Told()) as assoc:
        ask(assoc, request(image))
    engine.dispose()  # as a new process, which knows only what is in the database
    with listening(told) as theirs:
        assert reports(theirs).tell(only_due(SqlCommitments(engine)))


def test_peer_that_refuses_the_report_is_told_again_later(committing, store, commitments, reports):
    port, refusing, image = committing(), Told(status=0x0110), ct()
    store(port, image)
    with associated(port, refusing) as assoc:
        ask(assoc, request(image))
        refusing.wait()
    with listening(refusing) as theirs:
        assert not reports(theirs).tell(only_due(commitments))
    again = only_due(commitments)
    assert again.attempts == 1
    assert "0x0110" in again.reason
    told = Told()
    with listening(told) as theirs:
        assert reports(theirs).tell(again)
    assert told.wait()[0] == 1


def test_attempts_get_rarer_and_end(committing, store, commitments, reports, free_port):
    port, image = committing(same_association=False), ct()
    store(port, image)
    with associated(port, Told()) as assoc:
        ask(assoc, request(image))
    unreachable = reports(free_port, max_attempts=2)
    before = now()
    assert not unreachable.tell(only_due(commitments))
    assert commitments.take_due(before + timedelta(seconds=9), timedelta()) == []
    assert not unreachable.tell(only_due(commitments))
    (kept,) = commitments.latest()
    assert (kept.state, kept.attempts) == ("given up", 2)
    assert "cannot connect" in kept.reason


def test_peer_without_address_is_named(committing, store, commitments, reports):
    port, image = committing(same_association=False), ct()
    store(port, image)
    with associated(port, Told()) as assoc:
        ask(assoc, request(image))
    assert not reports(None).tell(only_due(commitments))
    assert commitments.latest()[0].reason == "no address is known for MODALITY"


def test_same_transaction_again_is_answered_again(committing, store, commitments):
    port, told, image = committing(), Told(), ct()
    store(port, image)
    asked = request(image)
    with associated(port, told) as assoc:
        for _ in range(2):
            assert ask(assoc, asked) == 0x0000
            told.wait()
    assert len(commitments.latest()) == 1


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"action": 2}, 0x0123),
        ({"instance": "1.2.3"}, 0x0112),
    ],
)
def test_other_actions_are_refused(committing, change, status):
    told = Told()
    with associated(committing(), told) as assoc:
        assert ask(assoc, request(ct()), **change) == status
    assert told.is_silent()


def test_requests_that_make_no_sense_are_refused(committing):
    told, known = Told(), request(ct())
    without_transaction = request(ct())
    del without_transaction.TransactionUID
    reused = request(ct(), transaction=known.TransactionUID)
    with associated(committing(), told) as assoc:
        assert ask(assoc, known) == 0x0000
        told.wait()
        for asked in (request(), without_transaction, reused):
            assert ask(assoc, asked) == 0x0115
    assert len(told.reports) == 1


def test_database_away_is_a_refusal(start, archive):
    class Away:
        def add(self, *_, **__):
            raise StorageDown("the index does not answer")

    service = StorageCommitment(archive, Away(), aet="ISOCENTER", read_up_to=0)
    with associated(start(services=[service])[1], Told()) as assoc:
        assert ask(assoc, request(ct())) == 0x0213


def test_two_processes_never_take_the_same_request(committing, commitments, engine):
    with associated(committing(same_association=False), Told()) as assoc:
        ask(assoc, request(ct(), transaction=generate_uid()))
    other = SqlCommitments(engine)
    assert len(commitments.take_due(now(), timedelta(minutes=1))) == 1
    assert other.take_due(now(), timedelta(minutes=1)) == []
