"""Asking other archives (PS3.4 C.4, as an SCU): find, get and move."""

import socket
import ssl
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.presentation import AllStoragePresentationContexts, build_context, build_role

from dicom_node.contexts import (
    QUERY_CLASSES,
    QUERY_TRANSFER_SYNTAXES,
    STORAGE_TRANSFER_SYNTAXES,
    QueryLevel,
    Service,
)
from dicom_node.identifier import Attributes
from dicom_node.requestor import AssociationFailed
from dicom_node.status import CANCELLED, SUCCESS
from dicom_node.subject import Subject
from dicom_node.subject import of as subject_of
from storage.instances import checked_uid

_MOST_STORAGE_CONTEXTS = 127
_CANNOT_UNDERSTAND = 0xC000
_PENDING = 0xFF
Progress = Callable[[int, int], object]
"""Called with how many sub-operations were done, and how many there are."""


@dataclass(frozen=True, slots=True)
class Remote:
    """An archive and who asks it."""

    host: str
    port: int
    called_aet: str
    calling_aet: str
    timeout: float = 60
    tls: ssl.SSLContext | None = None
    subject: Subject | None = None
    """What the subject of its certificate must have."""
    accepting: ssl.SSLContext | None = None
    """With TLS: what it is shown when it calls us, to answer a request."""

    def is_at(self, assoc: Any) -> bool:
        """The certificate shown on an association of pynetdicom is the archive's, where one is asked for."""
        return not self.subject or self.subject <= subject_of(assoc.dul.socket.socket)


@dataclass(frozen=True, slots=True)
class Retrieved:
    """How a retrieval ended."""

    status: int
    """Status (0000,0900) of the last response."""
    reason: str = ""
    completed: int = 0
    warning: int = 0
    failed: int = 0
    failed_instances: tuple[str, ...] = ()
    """SOP Instance UIDs, where the peer told them."""

    @property
    def complete(self) -> bool:
        """Everything came that was asked for."""
        return self.status == SUCCESS and not self.failed


def find(remote: Remote, level: QueryLevel, keys: Mapping[str, str]) -> Iterator[Attributes]:
    """The answers to a C-FIND, as DICOM JSON objects (PS3.18 F.2).

    Args:
        remote: who is asked.
        level: Query/Retrieve Level.
        keys: values by keyword; an empty one is only asked for, several are separated by backslashes.

    Raises:
        AssociationFailed: there is no association, it broke, or the peer answers with a failure.
        ValueError: a keyword is not of the standard.
    """
    model = _model("find", level)
    with association(remote, [build_context(model, list(QUERY_TRANSFER_SYNTAXES))]) as assoc:
        for status, answer in assoc.send_c_find(_identifier(level, keys), model):
            code = _status(status)
            if code >> 8 == _PENDING:
                yield answer.to_json_dict(suppress_invalid_tags=True)
            elif code != SUCCESS:
                raise AssociationFailed(
                    f"the peer answers with status 0x{code:04X} {status.get('ErrorComment', '')}"
                )


def move(
    remote: Remote,
    level: QueryLevel,
    keys: Mapping[str, str],
    destination: str,
    progress: Progress | None = None,
) -> Retrieved:
    """C-MOVE to the application entity `destination`, which the peer must know.

    Raises:
        AssociationFailed: there is no association, or it broke.
        ValueError: a keyword is not of the standard.
    """
    model = _model("move", level)
    with association(remote, [build_context(model, list(QUERY_TRANSFER_SYNTAXES))]) as assoc:
        return _followed(assoc.send_c_move(_identifier(level, keys), destination, model), progress)


def get(
    remote: Remote,
    level: QueryLevel,
    keys: Mapping[str, str],
    folder: Path,
    progress: Progress | None = None,
) -> Retrieved:
    """C-GET into `folder`, one file `<SOP Instance UID>.dcm` each, data sets as they come.

    Where the peer tells the SOP classes of the study, every transfer syntax is proposed, so that it need not
    convert anything; otherwise all classes are, in the native ones.

    Raises:
        AssociationFailed: there is no association, or it broke.
        ValueError: a keyword is not of the standard.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model = _model("get", level)
    storage = _storage_contexts(_classes(remote, keys.get("StudyInstanceUID", "")))
    contexts = [build_context(model, list(QUERY_TRANSFER_SYNTAXES)), *storage]
    handler = (evt.EVT_C_STORE, lambda event: _kept(event, folder))
    with association(remote, contexts, handler) as assoc:
        return _followed(assoc.send_c_get(_identifier(level, keys), model), progress)


def _kept(event: Any, folder: Path) -> int:
    try:
        sop = checked_uid(str(event.request.AffectedSOPInstanceUID), "Affected SOP Instance UID")
        (folder / f"{sop}.dcm").write_bytes(event.encoded_dataset())
    except Exception:  # noqa: BLE001 - whatever it is, this instance was not kept
        return _CANNOT_UNDERSTAND
    return SUCCESS


def _classes(remote: Remote, study: str) -> list[str]:
    if not study:
        return []
    keys = {"StudyInstanceUID": study, "SOPClassesInStudy": ""}
    answers = list(find(remote, "STUDY", keys))
    return sorted({uid for each in answers for uid in each.get("00080062", {}).get("Value", ())})


def _storage_contexts(classes: list[str]) -> list[Any]:
    if 0 < len(classes) <= _MOST_STORAGE_CONTEXTS // 2:
        each = _MOST_STORAGE_CONTEXTS // len(classes)
        syntaxes = [*QUERY_TRANSFER_SYNTAXES, *STORAGE_TRANSFER_SYNTAXES]
        alone = list(dict.fromkeys(syntaxes))[:each]
        return [build_context(uid, [syntax]) for uid in classes for syntax in alone]
    some = classes or [str(context.abstract_syntax) for context in AllStoragePresentationContexts]
    return [build_context(uid, list(QUERY_TRANSFER_SYNTAXES)) for uid in some[:_MOST_STORAGE_CONTEXTS]]


def _model(service: Service, level: QueryLevel) -> str:
    """Study Root, or Patient Root where only that has the level."""
    fitting = [
        uid
        for uid, each in QUERY_CLASSES.items()
        if each.service == service and level in each.levels and not each.retired
    ]
    return fitting[-1]


def _identifier(level: QueryLevel, keys: Mapping[str, str]) -> Dataset:
    identifier = Dataset()
    identifier.SpecificCharacterSet = "ISO_IR 192"
    identifier.QueryRetrieveLevel = level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the values mean is for the peer to judge
        for keyword, value in keys.items():
            if tag_for_keyword(keyword) is None:
                raise ValueError(f"{keyword} is no attribute of the standard")
            setattr(identifier, keyword, value.split("\\") if "\\" in value else value)
    return identifier


@contextmanager
def association(remote: Remote, contexts: list[Any], *handlers: Any) -> Iterator[Any]:
    """An association of pynetdicom in which the peer accepts the first of `contexts`.

    Raises:
        AssociationFailed: there is none, or it does not.
    """
    _check_reachable(remote)
    entity = AE(remote.calling_aet)
    entity.requested_contexts = contexts
    entity.maximum_pdu_size = 1 << 20
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = remote.timeout
    model = contexts[0].abstract_syntax
    roles = [build_role(uid, scp_role=True) for uid in {cx.abstract_syntax for cx in contexts[1:]}]
    assoc = entity.associate(
        remote.host,
        remote.port,
        ae_title=remote.called_aet,
        ext_neg=roles,
        evt_handlers=list(handlers),
        tls_args=(remote.tls, remote.host) if remote.tls else None,
    )
    if not assoc.is_established:
        raise AssociationFailed(_refusal(assoc, remote, str(model)))
    if not remote.is_at(assoc):
        assoc.abort()
        raise AssociationFailed("the peer's certificate is of somebody else")
    try:
        if not any(context.abstract_syntax == model for context in assoc.accepted_contexts):
            raise AssociationFailed(f"the peer does not offer {_name(str(model))}")
        yield assoc
    finally:
        assoc.release()


def _name(sop_class: str) -> str:
    return QUERY_CLASSES[sop_class].name if sop_class in QUERY_CLASSES else UID(sop_class).name


def _check_reachable(remote: Remote) -> None:
    # pynetdicom does not tell why there is no connection, and loses its socket.
    try:
        socket.create_connection((remote.host, remote.port), remote.timeout).close()
    except OSError as error:
        raise AssociationFailed(f"cannot connect to {remote.host}:{remote.port}: {error}") from error


def _refusal(assoc: Any, remote: Remote, model: str) -> str:
    if assoc.is_rejected:
        return f"rejected by the peer: {assoc.acceptor.primitive.reason_str}"
    if assoc.rejected_contexts:
        return f"the peer does not offer {_name(model)}"
    return f"no association with {remote.called_aet} at {remote.host}:{remote.port}"


def _status(status: Any) -> int:
    if "Status" not in status:
        raise AssociationFailed("the association ended before the last answer")
    return int(status.Status)


def _followed(responses: Iterator[tuple[Any, Any]], progress: Progress | None) -> Retrieved:
    last = Retrieved(CANCELLED)
    for status, identifier in responses:
        code = _status(status)
        done = [status.get(f"NumberOf{name}Suboperations", 0) for name in ("Completed", "Warning", "Failed")]
        if progress:
            progress(sum(done), sum(done) + status.get("NumberOfRemainingSuboperations", 0))
        failed = identifier.get("FailedSOPInstanceUIDList") if identifier else None
        uids = [failed] if isinstance(failed, str) else list(failed or ())
        last = Retrieved(
            code,
            str(status.get("ErrorComment", "")),
            completed=done[0],
            warning=done[1],
            failed=done[2],
            failed_instances=tuple(map(str, uids)),
        )
    return last
