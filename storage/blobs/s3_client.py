"""The S3 client with what the `minio` library leaves out: files sent as they are, and conditional headers."""

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import certifi
import urllib3
from minio import Minio

_BLOCK = 1 << 18


class FilePart:
    """`length` bytes of a file from `offset`, as the body of a request that can be sent again."""

    def __init__(self, file: BinaryIO, offset: int, length: int) -> None:
        self._file = file
        self._offset = offset
        self._at = 0
        self.length = length
        self.sha256 = self._digest()

    def _digest(self) -> str:
        digest = hashlib.sha256()
        while block := self.read(_BLOCK):
            digest.update(block)
        self.seek(0)
        return digest.hexdigest()

    def read(self, size: int = -1) -> bytes:
        left = self.length - self._at
        wanted = left if size < 0 else min(size, left)
        self._file.seek(self._offset + self._at)
        data = self._file.read(wanted)
        if len(data) < wanted:
            # The server would wait for the missing bytes until it gives up.
            raise OSError(f"the file ends {wanted - len(data)} bytes early")
        self._at += len(data)
        return data

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int) -> None:
        self._at = offset


class S3Client(Minio):  # type: ignore[misc] # the library ships no types
    """`Minio`, whose `send` passes headers on and streams a `FilePart`.

    The library's own `put_object` reads the body into memory and turns `If-None-Match` into user metadata, so
    that a conditional write silently overwrites. `_execute` and `_build_headers` are private names of it;
    the tests of blobs fail when they change.
    """

    def send(
        self,
        method: str,
        bucket: str,
        name: str,
        body: bytes | FilePart | None = None,
        *,
        headers: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """One signed request, its answer read to the end. Raises what `minio` and `urllib3` raise."""
        answer: urllib3.BaseHTTPResponse = self._execute(
            method, bucket, name, body=body, headers=dict(headers or {}), query_params=query
        )
        return answer

    def _build_headers(
        self, host: str, headers: Any, body: Any, creds: Any
    ) -> tuple[dict[str, str], datetime]:
        built: dict[str, str]
        date: datetime
        if not isinstance(body, FilePart):
            built, date = super()._build_headers(host, headers, body, creds)
            return built, date
        built, date = super()._build_headers(host, headers, None, creds)
        # Signed, so the server refuses a body that was damaged on the way.
        built |= {"Content-Length": str(body.length), "x-amz-content-sha256": body.sha256}
        built.pop("Content-MD5", None)
        return built, date


def s3_client(
    endpoint: str,
    access_key: str,
    secret_key: str,
    *,
    region: str = "us-east-1",
    tls: bool = True,
    ca_file: Path | None = None,
    connections: int = 64,
    connect_timeout: float = 5,
    read_timeout: float = 60,
) -> S3Client:
    """A client of the S3-compatible server at `endpoint` (`host:port`); nothing is sent yet.

    Args:
        endpoint: host and port, without a scheme.
        access_key: name of the account's key.
        secret_key: the key's secret.
        region: given, so that the server is not asked for it before the first request.
        tls: speak HTTPS and check the server's certificate.
        ca_file: certificates to trust in place of the public ones.
        connections: kept open between requests.
        connect_timeout: seconds.
        read_timeout: seconds between two pieces of an answer.
    """
    pool = urllib3.PoolManager(
        maxsize=connections,
        blocksize=_BLOCK,
        timeout=urllib3.Timeout(connect=connect_timeout, read=read_timeout),
        retries=urllib3.Retry(total=3, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504]),
        cert_reqs="CERT_REQUIRED",
        ca_certs=str(ca_file or certifi.where()),
    )
    return S3Client(
        endpoint, access_key=access_key, secret_key=secret_key, secure=tls, region=region, http_client=pool
    )
