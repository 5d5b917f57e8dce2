"""Sending files to another node (C-STORE SCU): data sets go out as they are in the file."""

import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dicom_node.peek import HEAD, sop_uids
from dicom_node.requestor import MAX_CONTEXTS, AssociationFailed, Proposal, Requestor
from dicom_node.status import SUCCESS
from storage.errors import InvalidInstance
from storage.instances import checked_uid
from storage.part10 import MAX_META, read_meta

_CHUNK = 1 << 20
VERIFICATION: Proposal = ("1.2.840.10008.1.1", "1.2.840.10008.1.2")


@dataclass(frozen=True, slots=True)
class SendResult:
    """What became of one file."""

    path: Path
    stored: bool
    """The peer answered with success or a warning."""
    reason: str = ""
    """Why it was not stored, or what the peer warns of."""
    status: int | None = None
    """Status (0000,0900) of the peer's answer, when there was one."""


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    proposal: Proposal
    sop: str
    dataset_offset: int


Progress = Callable[[SendResult], object]


def send(
    paths: Iterable[Path],
    host: str,
    port: int,
    called_aet: str,
    calling_aet: str,
    *,
    progress: Progress | None = None,
    tls: ssl.SSLContext | None = None,
    timeout: float = 60,
) -> list[SendResult]:
    """Send files over one association, or as many as their presentation contexts need.

    The transfer syntax of each file is proposed as the only one for its SOP class, so nothing is re-encoded.

    Args:
        paths: Part 10 files.
        host: name or address of the peer.
        port: of the peer.
        called_aet: its AE title.
        calling_aet: our AE title.
        progress: called with each result as it comes.
        tls: speak TLS.
        timeout: seconds to wait for each answer.

    Returns:
        One result for each path, in order of `paths`; nothing is raised for what a peer or a file does.
    """
    results: dict[Path, SendResult] = {}

    def note(result: SendResult) -> None:
        results[result.path] = result
        if progress:
            progress(result)

    paths = list(paths)
    files = list(_readable(paths, note))
    for proposals, group in _associations(files):
        try:
            with Requestor(
                (host, port), called_aet, calling_aet, proposals, tls=tls, timeout=timeout
            ) as association:
                for file in group:
                    note(_store(association, file))
        except AssociationFailed as error:
            for file in group:
                if file.path not in results:
                    note(SendResult(file.path, stored=False, reason=str(error)))
    return [results[path] for path in paths]


def identified(path: Path) -> tuple[str, str]:
    """SOP Class UID and SOP Instance UID of a Part 10 file. Raises `InvalidInstance`, `OSError`."""
    file = _read(path)
    return file.proposal[0], file.sop


def echo(
    host: str,
    port: int,
    called_aet: str,
    calling_aet: str,
    *,
    tls: ssl.SSLContext | None = None,
    timeout: float = 10,
) -> None:
    """Verify that a peer answers (PS3.4 A).

    Raises:
        AssociationFailed: it does not; the message says why.
    """
    with Requestor(
        (host, port), called_aet, calling_aet, [VERIFICATION], tls=tls, timeout=timeout
    ) as association:
        if not association.accepts(VERIFICATION):
            raise AssociationFailed("the peer does not accept verification")
        answer = association.echo(VERIFICATION)
    if answer.status != SUCCESS:
        raise AssociationFailed(f"the peer answers with status 0x{answer.status:04X}")


def _readable(paths: Iterable[Path], note: Callable[[SendResult], None]) -> Iterator[_File]:
    for path in dict.fromkeys(paths):
        try:
            yield _read(path)
        except (InvalidInstance, OSError) as error:
            note(SendResult(path, stored=False, reason=str(error)))


def _read(path: Path) -> _File:
    with path.open("rb") as file:
        meta = read_meta(file.read(MAX_META + HEAD))
        file.seek(meta.dataset_offset)
        sop_class, sop = sop_uids(file.read(HEAD), meta.transfer_syntax)
    # The data set knows best what it is; file meta information is often a copy of another file's.
    sop_class = checked_uid(sop_class or meta.sop_class, "SOPClassUID")
    sop = checked_uid(sop or meta.sop, "SOPInstanceUID")
    return _File(path, (sop_class, meta.transfer_syntax), sop, meta.dataset_offset)


def _associations(files: Sequence[_File]) -> Iterator[tuple[list[Proposal], list[_File]]]:
    proposals = list(dict.fromkeys(file.proposal for file in files))
    for at in range(0, len(proposals), MAX_CONTEXTS):
        some = proposals[at : at + MAX_CONTEXTS]
        yield some, [file for file in files if file.proposal in some]


def _store(association: Requestor, file: _File) -> SendResult:
    if not association.accepts(file.proposal):
        sop_class, transfer_syntax = file.proposal
        reason = f"the peer does not accept SOP class {sop_class} in transfer syntax {transfer_syntax}"
        return SendResult(file.path, stored=False, reason=reason)
    try:
        with file.path.open("rb") as dataset:
            dataset.seek(file.dataset_offset)
            chunks = iter(lambda: dataset.read(_CHUNK), b"")
            answer = association.store(file.proposal, file.sop, chunks)
    except OSError as error:
        return SendResult(file.path, stored=False, reason=str(error))
    reason = "" if answer.status == SUCCESS else f"0x{answer.status:04X} {answer.reason}".strip()
    return SendResult(file.path, answer.stored, reason, answer.status)
