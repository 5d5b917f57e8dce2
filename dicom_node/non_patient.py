"""Queries for instances that belong to no patient, as an SCP (PS3.4 U, X, BB, HH, JJ), by C-FIND."""

from collections.abc import Iterator
from dataclasses import dataclass

from dicom_node.identifier import Attributes, Identifier
from dicom_node.keys import requested
from dicom_node.status import PENDING
from storage.non_patient import NonPatientInstances

NON_PATIENT_FIND: dict[str, tuple[str, ...]] = {
    "1.2.840.10008.5.1.4.20.1": ("1.2.840.10008.5.1.4.1.1.200.1", "1.2.840.10008.5.1.4.1.1.200.7"),
    "1.2.840.10008.5.1.4.38.2": ("1.2.840.10008.5.1.4.38.1",),
    "1.2.840.10008.5.1.4.39.2": ("1.2.840.10008.5.1.4.39.1",),
    "1.2.840.10008.5.1.4.43.2": ("1.2.840.10008.5.1.4.43.1",),
    "1.2.840.10008.5.1.4.44.2": ("1.2.840.10008.5.1.4.44.1",),
    "1.2.840.10008.5.1.4.45.2": ("1.2.840.10008.5.1.4.45.1",),
    "1.2.840.10008.5.1.4.1.1.201.2": ("1.2.840.10008.5.1.4.1.1.201.1",),
}
"""By SOP class of the query, the storage SOP classes it is answered from."""


class NonPatientQuery:
    """Answers from the instances of one information model. Any attribute is matched and answered."""

    def __init__(self, instances: NonPatientInstances, sop_class: str) -> None:
        """`sop_class` is one of `NON_PATIENT_FIND`."""
        self.sop_class = sop_class
        self._instances = instances

    def search(self, identifier: Identifier, *, fuzzy: bool) -> "NonPatientSearch":
        """Read the request. Raises `InvalidQuery`."""
        classes = NON_PATIENT_FIND[self.sop_class]
        return NonPatientSearch(
            self._instances.search(classes, identifier.attributes, fuzzy=fuzzy), identifier
        )


@dataclass(frozen=True, slots=True)
class NonPatientSearch:
    """One C-FIND."""

    found: Iterator[Attributes]
    identifier: Identifier
    pending: int = PENDING

    def answers(self) -> Iterator[Attributes]:
        """The keys of the request with their values, the last stored first."""
        for each in self.found:
            yield requested(each, self.identifier)


def non_patient_queries(instances: NonPatientInstances) -> tuple[NonPatientQuery, ...]:
    """All of them."""
    return tuple(NonPatientQuery(instances, uid) for uid in NON_PATIENT_FIND)
