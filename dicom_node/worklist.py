"""C-FIND of what has no levels: lists of procedure steps, and instances that belong to no patient."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from dicom_node.identifier import Attributes, Identifier
from dicom_node.keys import requested
from dicom_node.status import PENDING
from storage.sql.scheduled_steps import SqlWorklist

MODALITY_WORKLIST = "1.2.840.10008.5.1.4.31"


class Found(Protocol):
    """What is searched."""

    def __call__(self, keys: Attributes, /, *, fuzzy: bool) -> Iterable[Attributes]:
        """The data sets that match `keys`, names fuzzily if asked for. Raises `InvalidQuery`."""


@dataclass(frozen=True, slots=True)
class Worklist:
    """What is searched by one SOP class. Any attribute is matched and answered."""

    sop_class: str
    found: Found

    def search(self, identifier: Identifier, *, fuzzy: bool) -> "WorklistSearch":
        """Read the request. Raises `InvalidQuery`."""
        return WorklistSearch(self.found(identifier.attributes, fuzzy=fuzzy), identifier)


@dataclass(frozen=True, slots=True)
class WorklistSearch:
    """One C-FIND."""

    found: Iterable[Attributes]
    identifier: Identifier
    pending: int = PENDING

    def answers(self) -> Iterator[Attributes]:
        """The keys of the request with their values, in the order of what was found."""
        for each in self.found:
            yield requested(each, self.identifier)


def modality_worklist(steps: SqlWorklist) -> Worklist:
    """Scheduled procedure steps by the time of their start (PS3.4 K)."""

    def found(keys: Attributes, /, *, fuzzy: bool) -> Iterable[Attributes]:
        return (step.attributes for step in steps.search(keys, fuzzy=fuzzy))

    return Worklist(MODALITY_WORKLIST, found)
