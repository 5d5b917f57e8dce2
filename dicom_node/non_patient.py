"""Queries for instances that belong to no patient, as an SCP (PS3.4 U, X, BB, HH, JJ), by C-FIND."""

from functools import partial

from dicom_node.worklist import Worklist
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


def non_patient_queries(instances: NonPatientInstances) -> tuple[Worklist, ...]:
    """One for each information model; the instance stored last comes first."""
    return tuple(
        Worklist(sop_class, partial(instances.search, classes))
        for sop_class, classes in NON_PATIENT_FIND.items()
    )
