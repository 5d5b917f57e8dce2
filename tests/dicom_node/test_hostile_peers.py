"""What hostile peers can do: cost one connection."""

import logging
import socket
import struct
import time

import pytest

from dicom_node import command
from dicom_node.node import Timeouts
from dicom_node.requestor import AssociationFailed
from dicom_node.send import echo
from tests.dicom_node.associating import CT, PROPOSAL, SECONDS, associate, eventually, open_file, spooled
from tests.dicom_node.builders import ct, encoded


def exchange(port, data, *, half_close=False):
    """Send bytes; all that comes back until the node closes."""
    with socket.create_connection(("127.0.0.1", port), SECONDS) as connection:
        connection.sendall(data)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while piece := connection.recv(1 << 16):
                answer += piece
        except ConnectionResetError:
            pass
        return answer


ABORT = 7


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        bytes(100),
        b"\x01\0\xff\xff\xff\xff" + bytes(1000),
        b"\x01\0\0\0\0\x44" + bytes(0x44),
        b"\x01\0\0\0\0\x04\0\1\0\0",
        b"\x04\0\0\0\0\x0a\0\0\0\x06\x01\x03abcd",
        b"\x05\0\0\0\0\4\0\0\0\0",
        b"\x07\0\0\0\0\4\0\0\0\0",
    ],
)
def test_garbage_before_the_association_costs_one_connection(port, data, caplog):
    caplog.set_level(logging.INFO, "dicom_node")
    with associate(port) as other:
        answer = exchange(port, data)
        assert answer[:1] in {b"", bytes([ABORT])}
        ds = ct()
        assert other.store(PROPOSAL, ds.SOPInstanceUID, open_file(encoded(ds))).stored
    echo("127.0.0.1", port, "ISOCENTER", "TEST")
    eventually(lambda: any("before it asked for an association" in line for line in caplog.messages))


def pdv(control, data, context=1):
    return struct.pack(">BxIIBB", 4, len(data) + 6, len(data) + 2, context, control) + data


STORE = command.c_store_rq(1, CT, "1.2.3")


@pytest.mark.parametrize(
    "data",
    [
        b"garbage" * 10,
        pdv(3, b"garbage"),
        pdv(3, command.c_echo_rq(1), context=99),
        pdv(3, STORE, context=99),
        pdv(2, b"a data set without a command"),
        pdv(3, STORE) + pdv(3, STORE),
        pdv(3, STORE) + pdv(0, b"abc", context=99),
        pdv(3, STORE[:-3]),
        pdv(1, bytes(1 << 17)),
        pdv(3, command._encode({command.COMMAND_FIELD: b"\x99\x99"})),
        pdv(3, b""),
        struct.pack(">BxIIBB", 4, 6, 100, 1, 3),
    ],
)
def test_garbage_within_an_association_aborts_it_and_no_other(port, spool, data):
    with associate(port) as other:
        association = associate(port)
        association._socket.sendall(data)
        with pytest.raises(AssociationFailed, match=r"abort|closed|reset"):
            association._answer()
        association._socket.close()
        ds = ct()
        assert other.store(PROPOSAL, ds.SOPInstanceUID, open_file(encoded(ds))).stored
    eventually(lambda: spooled(spool) == [])


def test_identifier_that_never_ends_is_cut_off(port):
    association = associate(port)
    find = command._encode(
        {
            command.AFFECTED_SOP_CLASS_UID: CT.encode() + b"\0",
            command.COMMAND_FIELD: b"\x20\0",
            command.MESSAGE_ID: b"\1\0",
            command.COMMAND_DATA_SET_TYPE: b"\1\0",
        }
    )
    association._send([[command.p_data_tf(1, 3, find)]])
    with pytest.raises((AssociationFailed, OSError)):  # noqa: PT012 - which fragment is the last is open
        while True:
            association._send([[command.p_data_tf(1, 0, bytes(1 << 18))]])
    association._socket.close()


def test_peer_that_drips_its_request_is_cut_off(start):
    _, port = start(timeouts=Timeouts(1, 1, 1))
    with socket.create_connection(("127.0.0.1", port), SECONDS) as connection:
        connection.sendall(b"\x01\0\0\0\1\0")
        with pytest.raises(ConnectionError):  # noqa: PT012 - which of many sends fails is the peer's choice
            for _ in range(SECONDS * 10):
                connection.sendall(b"\0")
                time.sleep(0.1)


def test_request_without_data_set_is_refused(port):
    request = command._encode(dict(command.decode(STORE)) | {command.COMMAND_DATA_SET_TYPE: b"\1\1"})
    with associate(port) as association:
        association._send([[command.p_data_tf(1, 3, request)]])
        assert association._answer().status == 0xC000


def test_unexpected_trouble_is_a_failure_and_not_the_end(port, archive, monkeypatch):
    ds = ct()
    with associate(port) as association:
        with monkeypatch.context() as patched:
            patched.setattr("storage.delivery.Delivery.ingest", lambda *_: 1 / 0)
            assert association.store(PROPOSAL, ds.SOPInstanceUID, open_file(encoded(ds))).status == 0x0110
        assert association.store(PROPOSAL, ds.SOPInstanceUID, open_file(encoded(ds))).status == 0
