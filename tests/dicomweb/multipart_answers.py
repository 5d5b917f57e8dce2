"""Reading multipart answers with the standard library's own parser, independent of ours."""

import email

import httpx


def parts(answer: httpx.Response) -> list[tuple[str, bytes]]:
    """Content-Type and content of each part of a multipart answer."""
    assert answer.status_code == 200, answer.text
    kind = answer.headers["content-type"]
    assert kind.startswith("multipart/related"), kind
    boundary = b"--" + email.message_from_string(f"Content-Type: {kind}\n\n").get_boundary().encode()
    *pieces, end = answer.content.split(boundary)
    assert end == b"--\r\n"
    return [_part(piece) for piece in pieces[1:]]


def _part(piece: bytes) -> tuple[str, bytes]:
    head, _, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    assert content.endswith(b"\r\n")
    return email.message_from_bytes(head)["Content-Type"], content[:-2]
