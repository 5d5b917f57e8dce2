"""Sub-operations of C-GET and C-MOVE: which instances, in which form, and how they are counted."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from dicom_node.command import Counts
from dicom_node.contexts import QueryLevel
from dicom_node.identifier import Identifier
from dicom_node.requestor import MAX_CONTEXTS, Proposal
from dicom_node.status import SUCCESS, Answer
from storage.archive import Archive
from storage.errors import InvalidInstance, InvalidQuery, StorageError, UnknownInstance
from storage.instances import StoredInstance
from storage.pixels.encoded_objects import LOSSLESS, encoded_data_set
from storage.pixels.native_objects import native_data_set
from storage.search import Exact, Match, Query
from storage.spool import Spool

log = logging.getLogger(__name__)

NATIVE = {"1.2.840.10008.1.2.1": False, "1.2.840.10008.1.2": True}
"""Transfer syntaxes that any data set can be written in, the better one first; whether without VRs."""

_PATIENT_ID, _STUDY, _SERIES, _SOP = "00100020", "0020000D", "0020000E", "00080018"
_UNIQUE: dict[QueryLevel, str] = {"PATIENT": _PATIENT_ID, "STUDY": _STUDY, "SERIES": _SERIES, "IMAGE": _SOP}
_KEYWORDS = {
    _PATIENT_ID: "PatientID",
    _STUDY: "StudyInstanceUID",
    _SERIES: "SeriesInstanceUID",
    _SOP: "SOPInstanceUID",
}
_PAGE = 1000
_CHUNK = 1 << 20


def select(
    archive: Archive, level: QueryLevel, identifier: Identifier, *, rejected: bool = False
) -> list[StoredInstance]:
    """The instances that the unique keys name (PS3.4 C.4.2.1.4.1, C.4.2.2.1), as far as they are stored.

    Unique keys of levels above are checked where they are given. What rejection notes take out of use is
    there only when `rejected`.

    Raises:
        InvalidQuery: the unique key of the level has no value.
    """
    unique = _UNIQUE[level]
    values = identifier.texts(unique)
    if not values:
        raise InvalidQuery(f"no {_KEYWORDS[unique]} at level {level}")
    found: dict[str, StoredInstance] = {}
    for value in values:
        for instance in _named(archive, unique, value, rejected=rejected):
            if _is_below(identifier, instance):
                found[instance.key.sop] = instance
    return list(found.values())


def _named(archive: Archive, unique: str, value: str, *, rejected: bool) -> Iterator[StoredInstance]:
    try:
        if unique == _SOP:
            if rejected or not archive.rejected([value]):
                yield archive.instance(value)
        elif unique == _STUDY:
            yield from archive.instances(value, rejected=rejected)
        elif unique == _SERIES:
            for study in _studies(archive, unique, value):
                yield from archive.instances(study, value, rejected=rejected)
        else:
            for study in _studies(archive, unique, value):
                yield from archive.instances(study, rejected=rejected)
    except UnknownInstance:
        return


def _studies(archive: Archive, unique: str, value: str) -> Iterator[str]:
    offset = 0
    while True:
        match = Match(unique, Exact(value))
        query = Query("study", (match,), limit=_PAGE, offset=offset, rejected=True)
        page = archive.search(query)
        for each in page.answers:
            yield Identifier(dict(each), ()).text(_STUDY)
        if not page.more:
            return
        offset += len(page.texts)


def _is_below(identifier: Identifier, instance: StoredInstance) -> bool:
    studies, series = identifier.texts(_STUDY), identifier.texts(_SERIES)
    return (not studies or instance.key.study in studies) and (not series or instance.key.series in series)


class Unsendable(Exception):
    """The peer accepts no form in which the instance can be given; the message says which it has."""


@dataclass
class Tally:
    """How far an operation has come."""

    remaining: int
    completed: int = 0
    warning: int = 0
    failed: list[str] = field(default_factory=list)
    """SOP Instance UIDs."""

    def count(self, sop: str, answer: Answer) -> None:
        """One more sub-operation was answered."""
        self.remaining -= 1
        if answer.status == SUCCESS:
            self.completed += 1
        elif answer.stored:
            self.warning += 1
        else:
            self.failed.append(sop)

    def counts(self, *, pending: bool) -> Counts:
        """As a response tells them."""
        remaining = self.remaining if pending else None
        return Counts(remaining, self.completed, len(self.failed), self.warning)


class Accepts(Protocol):
    """What a peer takes."""

    def __call__(self, proposal: Proposal) -> bool:
        """The SOP class in the transfer syntax."""


def form(instance: StoredInstance, accepts: Accepts) -> Proposal:
    """The form in which an instance goes out: as it is stored, else native, else compressed without loss.

    Raises:
        Unsendable: the peer accepts none of them.
    """
    for syntax in dict.fromkeys((instance.transfer_syntax, *NATIVE, *LOSSLESS)):
        if accepts((instance.sop_class, syntax)):
            return (instance.sop_class, syntax)
    raise Unsendable(
        f"SOP class {instance.sop_class} is accepted neither in transfer syntax {instance.transfer_syntax}"
        " nor in one that it can be converted to"
    )


def forms(instances: Iterable[StoredInstance], allowed: Sequence[str] | None = None) -> list[list[Proposal]]:
    """What to propose for instances; the forms of one SOP class together.

    Args:
        instances: what is to be sent.
        allowed: transfer syntaxes that the peer is to be sent; None for no limit.
    """
    by_class: dict[str, dict[str, None]] = {}
    for instance in instances:
        by_class.setdefault(instance.sop_class, {})[instance.transfer_syntax] = None
    return [
        [(sop_class, syntax) for syntax in _allowed(stored, allowed)]
        for sop_class, stored in by_class.items()
    ]


def _allowed(stored: Iterable[str], allowed: Sequence[str] | None) -> Iterable[str]:
    if allowed is None:
        return dict.fromkeys((*stored, *NATIVE))
    made = dict.fromkeys(each for each in (*stored, *NATIVE, *LOSSLESS) if each in allowed)
    # Something has to be proposed, that it may be refused.
    return made or allowed[:1]


def associations(
    instances: Sequence[StoredInstance], allowed: Sequence[str] | None = None
) -> Iterator[tuple[list[Proposal], list[StoredInstance]]]:
    """What to propose and then to send: associations with as many contexts as each can have, mostly one.

    Args:
        instances: what is to be sent.
        allowed: transfer syntaxes that the peer is to be sent; None for no limit.
    """
    proposals = list[Proposal]()
    for of_class in [*forms(instances, allowed), []]:
        if proposals and (not of_class or len(proposals) + len(of_class) > MAX_CONTEXTS):
            classes = {sop_class for sop_class, _ in proposals}
            yield proposals, [each for each in instances if each.sop_class in classes]
            proposals = []
        proposals = proposals + of_class


@contextmanager
def data_set(
    archive: Archive, spool: Spool, instance: StoredInstance, syntax: str
) -> Iterator[Iterator[bytes]]:
    """The data set in a transfer syntax that `form` chose, in chunks.

    As it is stored it comes byte for byte. Otherwise it is written to the spool first, so that what cannot be
    converted fails before anything of it is sent.

    Raises:
        StorageError: it cannot be read or decoded.
    """
    if syntax == instance.transfer_syntax:
        yield archive.dataset(instance)
        return
    with spool.new() as file:
        for piece in _gathered(_converted(archive, instance, syntax)):
            file.write(piece)
        file.close()
        with file.path.open("rb") as source:
            yield iter(lambda: source.read(_CHUNK), b"")


def _converted(archive: Archive, instance: StoredInstance, syntax: str) -> Iterator[bytes]:
    if syntax in NATIVE:
        return native_data_set(archive, instance, implicit=NATIVE[syntax])
    return encoded_data_set(archive, instance, syntax)


def _gathered(chunks: Iterable[bytes]) -> Iterator[bytes]:
    held = bytearray()
    for chunk in chunks:
        held += chunk
        if len(held) >= _CHUNK:
            yield bytes(held)
            held.clear()
    yield bytes(held)


def reason(error: Exception) -> str:
    """Why a sub-operation failed, for the log."""
    if isinstance(error, InvalidInstance):
        return f"it cannot be converted: {error}"
    return str(error) if isinstance(error, StorageError | Unsendable) else f"{type(error).__name__}: {error}"
