"""What the DICOM node offers beyond storage, query and retrieval."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dicom_node.availability import AvailabilityNotices
from dicom_node.commitment import StorageCommitment
from dicom_node.commitment_reports import CommitmentReports
from dicom_node.destinations import Destinations
from dicom_node.non_patient import non_patient_queries
from dicom_node.normalized import NormalizedService
from dicom_node.performed_steps import PerformedSteps
from dicom_node.ups import UpsService, unified_worklists
from dicom_node.ups_reports import UpsReports
from dicom_node.worklist import Worklist, modality_worklist
from isocenter.services import Services

MEGABYTE = 1_000_000


def normalized_services(services: Services) -> tuple[NormalizedService, ...]:
    """Those that are asked for by DIMSE-N."""
    settings = services.settings
    return (
        StorageCommitment(
            services.archive,
            services.commitments,
            aet=settings.node.aet,
            read_up_to=settings.commitment.read_up_to_mb * MEGABYTE,
            same_association=settings.commitment.same_association,
        ),
        UpsService(services.steps),
        PerformedSteps(services.performed),
        AvailabilityNotices(services.availability),
    )


def worklists(services: Services) -> tuple[Worklist, ...]:
    """Those that are searched by C-FIND."""
    return (
        modality_worklist(services.worklist),
        *unified_worklists(services.steps),
        *non_patient_queries(services.archive.non_patient),
    )


@contextmanager
def reporting(services: Services, destinations: Callable[[], Destinations]) -> Iterator[None]:
    """Meanwhile peers are told what they wait for."""
    settings = services.settings
    reports = CommitmentReports(
        services.archive,
        services.commitments,
        aet=settings.node.aet,
        destinations=destinations,
        read_up_to=settings.commitment.read_up_to_mb * MEGABYTE,
        max_attempts=settings.commitment.max_attempts,
    )
    stopped = threading.Event()
    told = UpsReports(services.steps.reports, destinations)
    threads = [
        threading.Thread(target=each.run, args=(stopped,), name=name)
        for each, name in ((reports, "commitment-reports"), (told, "ups-reports"))
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
