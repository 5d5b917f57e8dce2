import os
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.pdus import COMMAND, LAST, Fragment, Malformed, PduStream


def pdv(context_id: int, control: int, data: bytes) -> bytes:
    return struct.pack(">IBB", len(data) + 2, context_id, control) + data


def p_data(*pdvs: bytes) -> bytes:
    body = b"".join(pdvs)
    return struct.pack(">BxI", 4, len(body)) + body


RELEASE = b"\x05\0\0\0\0\4\0\0\0\0"


def items(stream: PduStream) -> list:
    found = []
    while (item := stream.next()) is not None:
        found.append(item if isinstance(item, bytes) else Fragment(*item[:2], bytes(item.data)))
    return found


def feed(stream: PduStream, data: bytes) -> list:
    found = []
    while data:
        room = stream.room()
        count = min(len(room), len(data))
        room[:count] = data[:count]
        stream.filled(count)
        data = data[count:]
        found += items(stream)
    return found


def test_fragments_and_other_pdus_come_in_order():
    stream = PduStream(64)
    found = feed(stream, p_data(pdv(1, COMMAND | LAST, b"abc"), pdv(3, 0, b"de")) + RELEASE + p_data())
    assert found == [Fragment(1, 3, b"abc"), Fragment(3, 0, b"de"), RELEASE]


@given(
    st.lists(
        st.lists(st.tuples(st.integers(1, 255), st.integers(0, 3), st.binary(max_size=90)), max_size=4),
        max_size=4,
    ),
    st.integers(1, 50),
)
def test_however_the_bytes_are_cut_the_same_fragments_come_out(pdus, step):
    data = b"".join(p_data(*(pdv(*each) for each in pdvs)) for pdvs in pdus)
    stream = PduStream(32)
    whole, pieces = [], {}
    for at in range(0, len(data), step):
        for fragment in feed(stream, data[at : at + step]):
            pieces.setdefault(len(whole), []).append(fragment)
            if sum(len(p.data) for p in pieces[len(whole)]) == expected_length(pdus, len(whole)):
                whole.append(pieces[len(whole)])
    expected = [each for pdvs in pdus for each in pdvs]
    assert [
        (parts[0].context_id, parts[-1].control, b"".join(p.data for p in parts)) for parts in whole
    ] == expected
    assert not any(p.control & LAST for parts in whole for p in parts[:-1])


def expected_length(pdus, index):
    return len([each for pdvs in pdus for each in pdvs][index][2])


def test_data_set_far_bigger_than_the_buffer_passes_through_it():
    stream = PduStream(1 << 12)
    data = os.urandom(1 << 20)
    found = feed(stream, p_data(pdv(1, LAST, data)))
    assert b"".join(each.data for each in found) == data
    assert [each.control for each in found if each.control] == [LAST]


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\0\0\0\0\0\0",
        b"\x08\0\0\0\0\0",
        b"\x01\0\xff\xff\xff\xff",
        p_data(b"\0\0\0\0\1\3"),
        p_data(b"\0\0\0\1\1\3"),
        p_data(struct.pack(">IBB", 100, 1, 3) + b"x"),
        p_data(b"\0\0\0"),
    ],
)
def test_what_is_no_pdu_is_malformed(data):
    with pytest.raises(Malformed):
        feed(PduStream(64), data + bytes(20))


def test_closed_stream_holds_no_memory():
    stream = PduStream()
    feed(stream, RELEASE[:4])
    stream.close()
    assert len(stream.room()) == 0
    assert stream.next() is None
