"""The multipart reader, fed in every way a network cuts a body, and the writer against it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb.multipart import (
    MultipartReader,
    PartData,
    PartEnd,
    PartStart,
    multipart_length,
    multipart_type,
    write_multipart,
)
from dicomweb.problems import BadRequest, PayloadTooLarge


def read(body: bytes, boundary: str = "b1", piece: int | None = None, **limits: int):
    """The parts of `body` as (headers, content), fed `piece` bytes at a time."""
    reader = MultipartReader(boundary, **limits)
    parts, open_part = [], None
    step = piece or max(len(body), 1)
    for start in range(0, len(body), step):
        for event in reader.feed(body[start : start + step]):
            if isinstance(event, PartStart):
                open_part = (event.headers, bytearray())
            elif isinstance(event, PartData):
                open_part[1].extend(event.data)
            elif isinstance(event, PartEnd):
                parts.append((open_part[0], bytes(open_part[1])))
    reader.close()
    return parts


PLAIN = (
    b"--b1\r\nContent-Type: application/dicom\r\n\r\nfirst\r\n--b1\r\nX: y\r\n\r\nsecond\r\n\r\n--b1--\r\n"
)


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 20, None])
def test_parts_are_the_same_however_the_body_is_cut(piece):
    assert read(PLAIN, piece=piece) == [
        ({"content-type": "application/dicom"}, b"first"),
        ({"x": "y"}, b"second\r\n"),
    ]


CARELESS = {
    "a preamble and an epilogue": b"preamble\r\n--b1\r\n\r\ndata\r\n--b1--\r\nepilogue --b1 \r\n--b1\r\n",
    "a leading line end": b"\r\n--b1\r\n\r\ndata\r\n--b1--",
    "no line end after the closing delimiter": b"--b1\r\n\r\ndata\r\n--b1--",
    "bare line feeds throughout": b"--b1\nContent-Type: a/b\n\ndata\n--b1--\n",
    "blanks after the delimiters": b"--b1 \t\r\n\r\ndata\r\n--b1--  \r\n",
    "no line end before the closing delimiter": b"--b1\r\n\r\ndata--b1--\r\n",
    "a folded header": b"--b1\r\nContent-Type: a/b;\r\n boundary=x\r\n\r\ndata\r\n--b1--",
    "headers ended by a bare line feed": b"--b1\r\nContent-Type: a/b\n\ndata\r\n--b1--",
}


@pytest.mark.parametrize("piece", [1, None])
@pytest.mark.parametrize("body", CARELESS.values(), ids=CARELESS.keys())
def test_careless_senders_are_understood(body, piece):
    assert [content for _, content in read(body, piece=piece)] == [b"data"]


@pytest.mark.parametrize("piece", [1, None])
@pytest.mark.parametrize(
    "content",
    [b"", b"\r\n", b"--b", b"--b1x", b"\r\n--b1x\r\n", b"\r\n--b1 x", b"-\r", b"\n", b"\r\n--b1-x"],
)
def test_content_that_looks_like_a_delimiter_is_kept(content, piece):
    assert read(b"--b1\r\n\r\n" + content + b"\r\n--b1--", piece=piece) == [({}, content)]


@given(
    contents=st.lists(st.binary(max_size=60).filter(lambda data: b"--b1" not in data), max_size=4),
    piece=st.integers(1, 90),
)
def test_what_the_writer_writes_the_reader_reads(contents, piece):
    body = b"".join(write_multipart([("application/dicom", [data]) for data in contents], "b1"))
    assert [content for _, content in read(body, piece=piece)] == contents
    assert len(body) == multipart_length([("application/dicom", len(data)) for data in contents], "b1")


@given(body=st.binary(max_size=200), piece=st.integers(1, 50))
def test_any_bytes_are_parts_or_a_bad_request(body, piece):
    try:
        read(b"--b1\r\n" + body, piece=piece)
    except BadRequest:
        return


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"no boundary here", "does not contain the multipart boundary"),
        (b"", "does not contain the multipart boundary"),
        (b"--b1\r\n\r\ndata", "ends within part 1"),
        (b"--b1\r\n\r\ndata\r\n--b1\r\nX: ", "ends within part 2"),
        (b"--b1\r\nnot a header\r\n\r\ndata\r\n--b1--", "malformed header: 'not a header'"),
    ],
)
def test_what_is_no_multipart_body_is_refused_with_the_reason(body, reason):
    with pytest.raises(BadRequest, match=reason):
        read(body)


@pytest.mark.parametrize("piece", [100, None])
def test_endless_headers_are_refused(piece):
    with pytest.raises(BadRequest, match="more than 1000 bytes of headers"):
        read(b"--b1\r\n" + b"X: y\r\n" * 1000, piece=piece, max_header_bytes=1000)


def test_too_many_parts_are_refused():
    with pytest.raises(PayloadTooLarge, match="more than 2 parts"):
        read(b"--b1\r\n\r\nx\r\n" * 3 + b"--b1--", max_parts=2)


@pytest.mark.parametrize("boundary", ["", "x" * 201, "ü"])
def test_an_impossible_boundary_is_refused(boundary):
    with pytest.raises(BadRequest, match="boundary"):
        MultipartReader(boundary)


def test_content_is_handed_on_as_it_arrives():
    reader = MultipartReader("b1")
    list(reader.feed(b"--b1\r\n\r\n"))
    for _ in range(50):
        assert sum(len(event.data) for event in reader.feed(bytes(100_000))) >= 99_990
        assert len(reader._kept) < 20


def test_a_boundary_may_hold_characters_of_regular_expressions():
    assert read(b"--a.*(b\r\n\r\ndata\r\n--a.*(b--", boundary="a.*(b") == [({}, b"data")]


def test_the_content_type_names_part_type_and_boundary():
    assert multipart_type("image/jls", "b1") == 'multipart/related; type="image/jls"; boundary=b1'
