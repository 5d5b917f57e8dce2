"""An application entity that stores, asks whether that is safe, and is told."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

INSTANCE = StorageCommitmentPushModelInstance


class Told:
    """Collects N-EVENT-REPORTs, and answers them."""

    def __init__(self, status: int = 0x0000) -> None:
        self.status = status
        self.reports: list[tuple[int, Dataset]] = []
        self.calling: list[str] = []
        self._came = threading.Event()

    @property
    def handlers(self):
        return [(evt.EVT_N_EVENT_REPORT, self._report)]

    def _report(self, event):
        self.calling.append(event.assoc.requestor.ae_title)
        self.reports.append((event.event_type, event.event_information))
        self._came.set()
        return self.status, None

    def wait(self, seconds: float = 20) -> tuple[int, Dataset]:
        assert self._came.wait(seconds), "no report"
        self._came.clear()
        return self.reports[-1]

    def is_silent(self) -> bool:
        return not self.reports


@contextmanager
def associated(port: int, told: Told, aet: str = "MODALITY") -> Iterator[object]:
    entity = AE(aet)
    entity.add_requested_context(StorageCommitmentPushModel)
    assoc = entity.associate("127.0.0.1", port, ae_title="ISOCENTER", evt_handlers=told.handlers)
    assert assoc.is_established
    try:
        yield assoc
    finally:
        assoc.release()


@contextmanager
def listening(told: Told, aet: str = "MODALITY") -> Iterator[int]:
    """The peer waits for reports on associations that the archive opens; its port."""
    entity = AE(aet)
    entity.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=told.handlers)
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


def request(*instances: Dataset, transaction: str = "") -> Dataset:
    """Action Information."""
    asked = Dataset()
    asked.TransactionUID = transaction or generate_uid()
    asked.ReferencedSOPSequence = []
    for each in instances:
        item = Dataset()
        item.ReferencedSOPClassUID = each.SOPClassUID
        item.ReferencedSOPInstanceUID = each.SOPInstanceUID
        asked.ReferencedSOPSequence.append(item)
    return asked


def ask(assoc, asked: Dataset, *, action: int = 1, instance: str = INSTANCE) -> int:
    status, _ = assoc.send_n_action(asked, action, StorageCommitmentPushModel, instance)
    return status.Status
