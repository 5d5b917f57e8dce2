"""Modality Worklist as an SCP (PS3.4 K): scheduled procedure steps, by C-FIND."""

from collections.abc import Iterator
from dataclasses import dataclass

from dicom_node.identifier import Attributes, Identifier
from dicom_node.keys import requested
from dicom_node.status import PENDING
from storage.sql.scheduled_steps import SqlWorklist
from storage.worklist import ScheduledStep

MODALITY_WORKLIST = "1.2.840.10008.5.1.4.31"


class ModalityWorklist:
    """Answers from the scheduled procedure steps. Any attribute is matched and answered."""

    sop_class = MODALITY_WORKLIST

    def __init__(self, steps: SqlWorklist) -> None:
        self._steps = steps

    def search(self, identifier: Identifier, *, fuzzy: bool) -> "WorklistSearch":
        """Read the request. Raises `InvalidQuery`."""
        found = self._steps.search(identifier.attributes, fuzzy=fuzzy)
        return WorklistSearch(found, identifier)


@dataclass(frozen=True, slots=True)
class WorklistSearch:
    """One C-FIND."""

    found: Iterator[ScheduledStep]
    identifier: Identifier
    pending: int = PENDING

    def answers(self) -> Iterator[Attributes]:
        """The keys of the request with their values, one step after the other by the time of its start."""
        for step in self.found:
            yield requested(step.attributes, self.identifier)
