"""Blobs as objects of one bucket on any S3-compatible server."""

import io
import math
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO
from xml.etree import ElementTree as ET

from minio.error import MinioException, S3Error
from urllib3.exceptions import HTTPError

from storage.blobs.chunks import Chunks
from storage.blobs.names import checked_name, is_name
from storage.blobs.s3_client import FilePart, S3Client, s3_client
from storage.errors import StorageDown, StorageError, StorageFull, UnknownInstance
from storage.ports import BlobStat

__all__ = ["S3Blobs", "s3_client"]

_ERRORS: dict[str, type[StorageError]] = {
    "NoSuchKey": UnknownInstance,
    "QuotaExceeded": StorageFull,
    "XMinioStorageFull": StorageFull,
}
# The name is taken; or another writer is at it; or our own earlier attempt went through unnoticed.
_TAKEN = {"PreconditionFailed", "ConditionalRequestConflict", "NoSuchUpload"}
_IF_ABSENT = {"If-None-Match": "*"}
_TOKEN = "x-amz-meta-put"  # noqa: S105 - names a writer, guards nothing
_LARGEST_PUT = 5 << 30
_MAX_PARTS = 10_000
_BUFFER = 1 << 17


class S3Blobs:
    """Blobs in `bucket`, which must exist.

    Up to `largest_put` bytes (S3: 5 GiB) go in one conditional request, so that of two writers exactly one
    wins on every server; larger ones in parts, where a server that ignores the condition on the last request
    (Ceph 16 does) leaves a moment in which a second writer of the same name would replace the first.
    """

    local = False

    def __init__(self, client: S3Client, bucket: str, *, largest_put: int = _LARGEST_PUT) -> None:
        self._client = client
        self._bucket = bucket
        self._largest_put = largest_put

    def put_if_absent(self, name: str, source: Path, *, settled: bool = True) -> bool:  # noqa: ARG002 - the port's
        checked_name(name)
        token = uuid.uuid4().hex
        headers = {"Content-Type": "application/dicom", _TOKEN: token}
        with _answers(name), source.open("rb") as file:
            size = file.seek(0, io.SEEK_END)
            try:
                if size > self._largest_put:
                    return self._put_parts(name, file, size, headers)
                self._send("PUT", name, FilePart(file, 0, size), headers=headers | _IF_ABSENT)
            except S3Error as error:
                if error.code not in _TAKEN:
                    raise
                # A request that was sent again after a lost answer is refused because of its own success.
                return self._token(name) == token
        return True

    def settle(self) -> None:
        """Nothing: what is put is durable at once."""

    def _put_parts(self, name: str, file: BinaryIO, size: int, headers: dict[str, str]) -> bool:
        if self.stat(name):
            return False
        answer = self._send("POST", name, headers=headers, query={"uploads": ""})
        upload = {"uploadId": ET.fromstring(answer.data).findtext("{*}UploadId", "")}  # noqa: S314 - our server
        try:
            parts = self._send_parts(name, file, size, upload)
            self._complete(name, parts, upload)
        except BaseException:
            with suppress(MinioException, HTTPError):
                self._send("DELETE", name, query=upload)
            raise
        return True

    def _send_parts(self, name: str, file: BinaryIO, size: int, upload: dict[str, str]) -> list[str]:
        step = max(self._largest_put, math.ceil(size / _MAX_PARTS))
        etags = []
        for number, offset in enumerate(range(0, size, step), 1):
            part = FilePart(file, offset, min(step, size - offset))
            answer = self._send("PUT", name, part, query={"partNumber": str(number), **upload})
            etags.append(answer.headers["etag"])
        return etags

    def _complete(self, name: str, etags: list[str], upload: dict[str, str]) -> None:
        root = ET.Element("CompleteMultipartUpload")
        for number, etag in enumerate(etags, 1):
            part = ET.SubElement(root, "Part")
            ET.SubElement(part, "PartNumber").text = str(number)
            ET.SubElement(part, "ETag").text = etag
        headers = _IF_ABSENT | {"Content-Type": "application/xml"}
        answer = self._send("POST", name, ET.tostring(root), headers=headers, query=upload)
        # S3 answers 200 before it starts joining the parts; an error then comes as the body.
        if b"CompleteMultipartUploadResult" not in answer.data:
            raise StorageDown(f"{name}: the parts could not be joined")

    def _send(
        self,
        method: str,
        name: str,
        body: bytes | FilePart | None = None,
        *,
        headers: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
    ) -> Any:
        return self._client.send(method, self._bucket, name, body, headers=headers, query=query)

    def _token(self, name: str) -> str | None:
        found: str | None = self._client.stat_object(self._bucket, name).metadata.get(_TOKEN)
        return found

    def open(self, name: str) -> BinaryIO:
        return io.BufferedReader(_Reader(self, self._existing(name)), _BUFFER)

    def _existing(self, name: str) -> BlobStat:
        found = self.stat(name)
        if found is None:
            raise UnknownInstance(f"no blob {name}")
        return found

    def read_range(self, name: str, offset: int, length: int) -> bytes:
        return b"".join(self.stream(name, offset, length))

    def stream(self, name: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        if length == 0:
            self._existing(name)
            return iter(())
        response = self._get(name, offset, length or 0)
        if response is None:
            return iter(())
        return Chunks(response, None, lambda: _release(response), lambda: _answers(name))

    def _get(self, name: str, offset: int, length: int) -> Any:
        """The open response, None when `offset` is at or beyond the end."""
        checked_name(name)
        with _answers(name):
            try:
                return self._client.get_object(self._bucket, name, offset, length)
            except S3Error as error:
                if error.code != "InvalidRange":
                    raise
                return None

    def stat(self, name: str) -> BlobStat | None:
        checked_name(name)
        with suppress(UnknownInstance), _answers(name):
            found = self._client.stat_object(self._bucket, name)
            return BlobStat(name, found.size, found.last_modified.timestamp())
        return None

    def delete(self, name: str) -> None:
        checked_name(name)
        with suppress(UnknownInstance), _answers(name):
            self._client.remove_object(self._bucket, name)

    def list(self, prefix: str = "") -> Iterator[BlobStat]:
        with _answers(prefix):
            for found in self._client.list_objects(self._bucket, prefix, recursive=True):
                if is_name(found.object_name):
                    yield BlobStat(found.object_name, found.size, found.last_modified.timestamp())

    def health(self) -> None:
        name = f"health/{uuid.uuid4().hex}"
        with tempfile.NamedTemporaryFile() as probe:
            probe.write(b"health")
            probe.flush()
            try:
                self._probe(name, Path(probe.name))
            except UnknownInstance as error:
                raise StorageDown(str(error)) from error
            finally:
                self.delete(name)

    def _probe(self, name: str, source: Path) -> None:
        if not self.put_if_absent(name, source) or self.read_range(name, 0, 9) != b"health":
            raise StorageDown(f"bucket {self._bucket} does not give back what was written")
        if self.put_if_absent(name, source):
            raise StorageDown(f"bucket {self._bucket} ignores If-None-Match: it would overwrite objects")


class _Reader(io.RawIOBase):
    """Reads ranges of one blob, each as it is asked for."""

    def __init__(self, blobs: S3Blobs, found: BlobStat) -> None:
        self._blobs = blobs
        self._name = found.name
        self._size = found.size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError(f"negative seek position {start + offset}")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        data = self._read(len(view))
        view[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        return self._read(self._size - self._at)

    def _read(self, length: int) -> bytes:
        length = max(0, min(length, self._size - self._at))
        data = self._blobs.read_range(self._name, self._at, length)
        self._at += len(data)
        return data


def _release(response: Any) -> None:
    response.close()
    response.release_conn()


@contextmanager
def _answers(name: str) -> Iterator[None]:
    """What the client library and the network raise stops here."""
    try:
        yield
    except S3Error as error:
        kind = _ERRORS.get(error.code or "", StorageDown)
        raise kind(f"{name}: {error.code}: {error.message}") from error
    except (MinioException, HTTPError, OSError) as error:
        raise StorageDown(f"{name}: {type(error).__name__}: {error}") from error
