"""Destinations that are DICOMweb services: STOW-RS (PS3.18 10.5)."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus

import urllib3

from isocenter.routing.carrier import DestinationDown
from isocenter.routing.stow_body import StowBody
from storage.archive import Archive
from storage.errors import StorageError
from storage.instances import StoredInstance
from storage.pixels.attributes import Attributes, items, text, value
from storage.spool import Spool

_MOST_INSTANCES, _MOST_BYTES = 100, 64_000_000
_MOST_ANSWER = 16_000_000
_ANSWERED = frozenset({HTTPStatus.OK, HTTPStatus.ACCEPTED, HTTPStatus.CONFLICT})
_BODY_REFUSED = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)
_FAILED, _REFERENCED, _SOP, _FAILURE_REASON = "00081198", "00081199", "00081155", "00081197"
_SHOWN = 200

Paced = Callable[[Iterable[bytes]], Iterator[bytes]]


class StowSender:
    """Stores instances at a DICOMweb service, some with each request."""

    def __init__(
        self,
        archive: Archive,
        spool: Spool,
        pool: urllib3.PoolManager,
        url: str,
        *,
        headers: Mapping[str, str],
        transfer_syntaxes: Sequence[str] | None,
    ) -> None:
        """Open nothing.

        Args:
            archive: that has the instances.
            spool: where converted ones wait until they are whole.
            pool: of connections, with timeouts and certificates, without retries.
            url: of the service, below which `/studies` is.
            headers: of each request: who we are.
            transfer_syntaxes: that the service is sent; None: as stored, where that may be in a web service.
        """
        self._archive = archive
        self._spool = spool
        self._pool = pool
        self._url = f"{url}/studies"
        self._headers = headers
        self._allowed = transfer_syntaxes

    def send(
        self, instances: Sequence[StoredInstance], paced: Paced, go_on: Callable[[], bool]
    ) -> Iterator[tuple[StoredInstance, str]]:
        """Send instances with as few requests as are of a good size; see `Sender`."""
        for some in _batches(instances):
            if not go_on():
                return
            yield from self._stored(some, paced)

    def _stored(
        self, instances: Sequence[StoredInstance], paced: Paced
    ) -> Iterator[tuple[StoredInstance, str]]:
        body = StowBody(self._archive, self._spool, self._allowed)
        status, answer = self._ask(body.content_type, body.chunks(instances, paced))
        yield from ((each, said) for each in instances if (said := body.left_out.get(each.key.sop)))
        sent = [each for each in instances if each.key.sop not in body.left_out]
        if status in _ANSWERED:
            reasons = _reasons(status, answer)
            yield from ((each, reasons(each.key.sop)) for each in sent)
        elif status not in _BODY_REFUSED:
            raise DestinationDown(_shown(status, answer))
        elif len(sent) <= 1:
            yield from ((each, _shown(status, answer)) for each in sent)
        else:  # one that is not wanted must not keep the others out
            for each in sent:
                yield from self._stored([each], paced)

    def _ask(self, content_type: str, body: Iterator[bytes]) -> tuple[int, bytes]:
        headers = {**self._headers, "Accept": "application/dicom+json", "Content-Type": content_type}
        try:
            response = self._pool.request(
                "POST", self._url, body=body, headers=headers, preload_content=False, redirect=False
            )
            try:
                return response.status, response.read(_MOST_ANSWER)
            finally:
                response.close()
        except (urllib3.exceptions.HTTPError, OSError, StorageError) as error:
            raise DestinationDown(f"{type(error).__name__}: {error}") from error


def _batches(instances: Sequence[StoredInstance]) -> Iterator[list[StoredInstance]]:
    batch, size = list[StoredInstance](), 0
    for instance in instances:
        if batch and (len(batch) == _MOST_INSTANCES or size + instance.size > _MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(instance)
        size += instance.size
    if batch:
        yield batch


def _reasons(status: int, answer: bytes) -> Callable[[str], str]:
    """What the answer says of an instance (PS3.18 10.5.3): why it was not stored, or an empty text."""
    try:
        told = json.loads(answer)
    except ValueError:
        told = {}
    module: Attributes = told if isinstance(told, dict) else {}
    stored = {text(each, _SOP) for each in items(module, _REFERENCED)}
    failed = {text(each, _SOP): _reason(each) for each in items(module, _FAILED)}

    def said(sop: str) -> str:
        if sop in failed:
            return failed[sop]
        # 200: all were stored, whatever the answer names.
        return "" if sop in stored or status == HTTPStatus.OK else f"{_shown(status, answer)}: not named"

    return said


def _reason(item: Attributes) -> str:
    code = value(item, _FAILURE_REASON)
    return f"failure reason 0x{code:04X}" if isinstance(code, int) else "refused without a reason"


def _shown(status: int, answer: bytes) -> str:
    said = " ".join(answer.decode("utf-8", "replace").split())
    return f"HTTP {status} {said[:_SHOWN]}".strip()
