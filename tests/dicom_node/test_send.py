"""Sending files: as they are, over as many associations as it takes, with one result for each."""

import socket
import struct
import threading
from contextlib import suppress

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE

from dicom_node import command
from dicom_node.contexts import STORAGE_SOP_CLASSES
from dicom_node.requestor import AssociationFailed
from dicom_node.send import echo, send
from dicom_node.status import Answer
from storage.errors import UnknownInstance
from tests.dicom_node.builders import ct, saved


def send_to(port, paths, **options):
    return send(paths, "127.0.0.1", port, "ISOCENTER", "TEST", **options)


def test_more_presentation_contexts_than_one_association_takes(port, archive, tmp_path):
    syntaxes = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
    sets = [ct(syntax, SOPClassUID=uid) for uid in STORAGE_SOP_CLASSES[:70] for syntax in syntaxes]
    results = send_to(port, [saved(ds, tmp_path) for ds in sets])
    assert [result.reason for result in results] == [""] * 140
    assert {archive.instance(ds.SOPInstanceUID).transfer_syntax for ds in sets} == set(syntaxes)


def test_results_are_in_order_and_told_as_they_come(port, tmp_path):
    (tmp_path / "text").write_text("no DICOM")
    (tmp_path / "empty").write_bytes(b"")
    paths = [saved(ct(), tmp_path), tmp_path / "text", saved(ct(), tmp_path), tmp_path / "empty"]
    paths.append(tmp_path / "missing")
    told = []
    results = send_to(port, paths, progress=told.append)
    assert [result.path for result in results] == paths
    assert [result.stored for result in results] == [True, False, True, False, False]
    assert "not a DICOM file" in results[1].reason
    assert "No such file" in results[4].reason
    assert sorted(told, key=lambda result: paths.index(result.path)) == results


def test_file_whose_meta_information_is_of_another_goes_out_as_what_it_is(port, archive, tmp_path):
    ds = ct()
    sop = ds.SOPInstanceUID
    path = saved(ds, tmp_path)
    path.write_bytes(path.read_bytes().replace(sop.encode(), sop[:-1].encode() + b"x", 1))
    (result,) = send_to(port, [path])
    assert (result.stored, result.status) == (True, 0)
    assert archive.instance(sop)


def test_peer_that_does_not_take_a_class_is_named_in_the_result(port, tmp_path):
    (result,) = send_to(port, [saved(ct(SOPClassUID="1.2.3.4"), tmp_path)])
    assert not result.stored
    assert "does not accept SOP class 1.2.3.4" in result.reason


def test_nobody_there(free_port, tmp_path):
    results = send_to(free_port, [saved(ct(), tmp_path), saved(ct(), tmp_path)])
    assert ["cannot connect" in result.reason for result in results] == [True, True]
    with pytest.raises(AssociationFailed, match="cannot connect"):
        echo("127.0.0.1", free_port, "ISOCENTER", "TEST")


def test_rejection_is_the_reason_of_each_file(port, tmp_path):
    (result,) = send([saved(ct(), tmp_path)], "127.0.0.1", port, "WRONG", "TEST")
    assert "Called AE title not recognised" in result.reason


@pytest.fixture
def pynetdicom_port():
    """A node of pynetdicom's own with a small PDU, which keeps what it gets."""
    entity = AE("ISOCENTER")
    entity.maximum_pdu_size = 1024
    entity.add_supported_context("1.2.840.10008.5.1.4.1.1.2", ExplicitVRLittleEndian)
    entity.add_supported_context("1.2.840.10008.1.1")
    kept = []

    def keep(event):
        kept.append(event.encoded_dataset())
        return 0xB000

    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, keep)])
    yield server.server_address[1], kept
    server.shutdown()


def test_other_implementation_gets_the_bytes_of_the_file(pynetdicom_port, tmp_path):
    port, kept = pynetdicom_port
    ds = ct(PixelData=bytes(range(256)) * 100)
    path = saved(ds, tmp_path)
    echo("127.0.0.1", port, "ISOCENTER", "TEST")
    (result,) = send_to(port, [path])
    assert (result.stored, result.status, result.reason) == (True, 0xB000, "0xB000")
    data = path.read_bytes()
    start = 144 + pydicom.dcmread(path).file_meta.FileMetaInformationGroupLength
    assert kept[0].endswith(data[start:])


@pytest.fixture
def strange_peer():
    """A function that starts a peer which accepts an association and answers requests with given bytes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def start(answer, *, accept=True):
        def run():
            connection, _ = listener.accept()
            with connection:
                length = struct.unpack(">xxI", connection.recv(6, socket.MSG_WAITALL))[0]
                body = connection.recv(length, socket.MSG_WAITALL)
                if accept:
                    connection.sendall(accepted(struct.pack(">BxI", 1, length) + body))
                    connection.recv(1 << 16)
                # The sender may have left already.
                with suppress(OSError):
                    connection.sendall(answer)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(1 << 16):
                        pass

        threading.Thread(target=run, daemon=True).start()
        return listener.getsockname()[1]

    with listener:
        yield start


def accepted(request):
    """An A-ASSOCIATE-AC that takes all that was asked for."""
    asked = A_ASSOCIATE_RQ()
    asked.decode(request)
    wanted = asked.to_primitive()
    answer = A_ASSOCIATE()
    answer.application_context_name = wanted.application_context_name
    answer.calling_ae_title, answer.called_ae_title = wanted.calling_ae_title, wanted.called_ae_title
    answer.result, answer.result_source = 0, 1
    contexts = wanted.presentation_context_definition_list
    for context in contexts:
        context.result = 0
    answer.presentation_context_definition_results_list = contexts
    answer.user_information = wanted.user_information
    return A_ASSOCIATE_AC(answer).encode()


def answer_pdu(encoded, control=3):
    return struct.pack(">BxIIBB", 4, len(encoded) + 6, len(encoded) + 2, 1, control) + encoded


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "closed the connection"),
        (b"\x07\0\0\0\0\4\0\0\0\0", "aborted"),
        (b"\x05\0\0\0\0\4\0\0\0\0", "PDU of type 5"),
        (b"\x04\0\xff\xff\xff\xff", "PDU of 4294967295 bytes"),
        (struct.pack(">BxIIBB", 4, 6, 9, 1, 3), "malformed P-DATA-TF"),
        (answer_pdu(b"garbage!"), "malformed"),
        (answer_pdu(command.c_echo_rq(1)), "no status"),
    ],
)
def test_strange_answer_fails_all_that_is_left(strange_peer, tmp_path, answer, reason):
    results = send_to(strange_peer(answer), [saved(ct(), tmp_path), saved(ct(), tmp_path)])
    assert [reason in result.reason for result in results] == [True, True]
    assert not any(result.stored for result in results)


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x05\0\0\0\0\0", b"\2\0\0\0\0\x50" + b"x" * 80]
)
def test_peer_that_speaks_something_else(strange_peer, tmp_path, answer):
    (result,) = send_to(strange_peer(answer, accept=False), [saved(ct(), tmp_path)])
    assert not result.stored
    assert result.reason


def test_file_that_is_stored_before_the_peer_breaks_off_counts(strange_peer, tmp_path):
    ds = ct()
    good = answer_pdu(command.c_store_rsp(1, ds.SOPClassUID, ds.SOPInstanceUID, Answer(0)))
    results = send_to(strange_peer(good), [saved(ds, tmp_path), saved(ct(), tmp_path)])
    assert [result.stored for result in results] == [True, False]


def test_answer_in_fragments_is_put_together(strange_peer, tmp_path):
    encoded = command.c_store_rsp(1, "1.2", "1.3", Answer(0xA700, "the disk is full"))
    answer = answer_pdu(encoded[:20], 1) + answer_pdu(encoded[20:])
    (result,) = send_to(strange_peer(answer), [saved(ct(), tmp_path)])
    assert (result.stored, result.status, result.reason) == (False, 0xA700, "0xA700 the disk is full")


def test_nothing_is_sent_for_nothing(free_port):
    assert send_to(free_port, []) == []


def test_file_that_cannot_be_read_does_not_hinder_the_others(port, archive, tmp_path):
    gone, there = ct(), ct()
    paths = [saved(gone, tmp_path), saved(there, tmp_path)]
    results = send_to(port, [*paths, paths[1]], progress=lambda _: paths[0].unlink(missing_ok=True))
    assert [result.stored for result in results] == [True, True, True]
    with pytest.raises(UnknownInstance):
        archive.instance("1.2.3")
