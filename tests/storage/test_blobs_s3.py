"""Blobs in S3: answers that are lost, servers that are gone, uploads in parts."""

import os
import socket
import threading

import pytest
from minio.error import S3Error

from storage.blobs.s3 import S3Blobs, _answers, s3_client
from storage.errors import StorageDown, StorageFull
from tests.storage.blob_stores import MB, NAME, client_of


class LosesAnswers:
    """A real TCP proxy that loses the server's answers to the first `count` requests of one method."""

    def __init__(self, endpoint: str, method: bytes, count: int = 1) -> None:
        host, _, port = endpoint.partition(":")
        self._server = (host, int(port))
        self._method = method
        self._left = count
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._server)
            state = {"lose": False}
            threading.Thread(target=self._up, args=(client, server, state), daemon=True).start()
            threading.Thread(target=self._down, args=(client, server, state), daemon=True).start()

    def _up(self, client, server, state):
        with server:
            while data := receive(client):
                if data.startswith(self._method) and self._left:
                    self._left -= 1
                    state["lose"] = True
                server.sendall(data)

    def _down(self, client, server, state):
        with client:
            while data := receive(server):
                # "100 Continue" is no answer.
                if state["lose"]:
                    client.shutdown(socket.SHUT_RDWR)
                    return
                client.sendall(data)


def receive(connection):
    try:
        return connection.recv(1 << 16)
    except OSError:
        return b""


@pytest.mark.parametrize("largest", [5 << 30, 5 * MB])
def test_s3_put_whose_answer_was_lost_is_still_ours(s3, file, largest):
    with LosesAnswers(s3["endpoint"], b"PUT /") as proxy:
        through = S3Blobs(client_of(s3 | {"endpoint": proxy.endpoint}), s3["bucket"], largest_put=largest)
        assert through.put_if_absent(NAME, file(b"1" * 6 * MB)) is True
        assert proxy._left == 0
        assert through.put_if_absent(NAME, file(b"1" * 6 * MB)) is False


def test_s3_conditional_header_is_a_header_and_not_user_metadata(s3, file):
    client = client_of(s3)
    headers = {"If-None-Match": "*"}
    client.send("PUT", s3["bucket"], "a", b"1", headers=headers)
    with pytest.raises(S3Error, match="PreconditionFailed"):
        client.send("PUT", s3["bucket"], "a", b"2", headers=headers)


def test_s3_server_that_is_gone_is_down(free_port, file):
    client = s3_client(f"127.0.0.1:{free_port}", "key", "secret", tls=False)
    client._http.connection_pool_kw["retries"] = 0
    blobs = S3Blobs(client, "bucket")
    for ask in (blobs.stat, blobs.open, blobs.delete, lambda name: blobs.put_if_absent(name, file(b"1"))):
        with pytest.raises(StorageDown):
            ask(NAME)
    with pytest.raises(StorageDown):
        list(blobs.list())
    with pytest.raises(StorageDown):
        blobs.health()


def test_s3_bucket_or_key_that_is_wrong_is_down(s3):
    with pytest.raises(StorageDown, match="NoSuchBucket"):
        S3Blobs(client_of(s3), "no-such-bucket").health()
    with pytest.raises(StorageDown, match="SignatureDoesNotMatch"):
        S3Blobs(client_of(s3 | {"secret_key": "wrong"}), s3["bucket"]).health()


def test_s3_quota_is_storage_full(s3, file):
    error = S3Error(None, "QuotaExceeded", "quota", "", "", "")
    with pytest.raises(StorageFull, match="QuotaExceeded"), _answers("x"):
        raise error


def test_s3_failed_parts_leave_no_upload_behind(s3, file, tmp_path):
    client = client_of(s3)
    blobs = S3Blobs(client, s3["bucket"], largest_put=5 * MB)
    source = file(bytes(6 * MB))
    send = client.send

    def truncate_after_first_part(*args, **kwargs):
        answer = send(*args, **kwargs)
        if args[0] == "PUT":
            os.truncate(source, 5 * MB)
        return answer

    client.send = truncate_after_first_part
    with pytest.raises(StorageDown):
        blobs.put_if_absent(NAME, source)
    assert blobs.stat(NAME) is None
    assert b"<Upload>" not in send("GET", s3["bucket"], None, query={"uploads": ""}).data
