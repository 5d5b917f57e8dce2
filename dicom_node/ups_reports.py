"""UPS Event as an SCP (PS3.4 CC.2.4): subscribers are told on associations that we open."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from dicom_node.contexts import QUERY_TRANSFER_SYNTAXES
from dicom_node.destinations import Destinations
from dicom_node.identifier import write_identifier
from dicom_node.requestor import AssociationFailed
from dicom_node.ups import EVENT, PUSH
from storage.errors import StorageError
from storage.procedure_steps import DIMSE, Reports

log = logging.getLogger(__name__)

_POLL_SECONDS = 1.0
_FIRST_DELAY, _LONGEST_DELAY = 5.0, 600.0
_AT_ONCE = 4


class UpsReports:
    """Tells subscribers what waits for them, in order; one that does not answer is tried again later.

    Args:
        reports: what waits.
        destinations: the peers we know, as they are now.
        timeout: seconds to wait for each answer of a peer.
    """

    def __init__(
        self, reports: Reports, destinations: Callable[[], Destinations], *, timeout: float = 60
    ) -> None:
        self._reports = reports
        self._destinations = destinations
        self._timeout = timeout
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        self._later: dict[str, tuple[int, float]] = {}

    def run(self, stopped: threading.Event) -> None:
        """Tell subscribers until `stopped`; a database that does not answer delays, and ends nothing."""
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="ups-reports") as threads:
            while not stopped.wait(_POLL_SECONDS):
                try:
                    receivers = self._reports.receivers(DIMSE)
                except StorageError as error:
                    log.warning("event reports wait: %s", error)
                    continue
                for aet in receivers:
                    if self._take(aet):
                        threads.submit(self._attempt, aet, stopped)

    def _take(self, aet: str) -> bool:
        with self._lock:
            _, not_before = self._later.get(aet, (0, 0.0))
            if aet in self._busy or time.monotonic() < not_before:
                return False
            self._busy.add(aet)
            return True

    def _attempt(self, aet: str, stopped: threading.Event) -> None:
        try:
            self.tell(aet, stopped)
            self._later.pop(aet, None)
        except (AssociationFailed, StorageError) as error:
            failures = self._later.get(aet, (0, 0.0))[0] + 1
            delay = min(_FIRST_DELAY * 2 ** (failures - 1), _LONGEST_DELAY)
            self._later[aet] = (failures, time.monotonic() + delay)
            log.warning("%s cannot be told of procedure steps, again in %.0f s: %s", aet, delay, error)
        except Exception:
            self._later[aet] = (1, time.monotonic() + _LONGEST_DELAY)
            log.exception("event reports of %s", aet)
        finally:
            with self._lock:
                self._busy.discard(aet)

    def tell(self, aet: str, stopped: threading.Event) -> None:
        """Send what waits for one subscriber. Raises `AssociationFailed` and `StorageError`."""
        destinations = self._destinations()
        peer = destinations.named(aet)
        if peer is None:
            raise AssociationFailed(f"no address is known for {aet}")
        proposals = [(EVENT, syntax) for syntax in QUERY_TRANSFER_SYNTAXES]
        with destinations.connect(peer, proposals, self._timeout, as_scp=[EVENT]) as association:
            proposal = next((each for each in proposals if association.accepts(each)), None)
            if proposal is None:
                raise AssociationFailed("the peer does not accept UPS Event")
            while waiting := self._reports.waiting(DIMSE, aet):
                for report in waiting:
                    if stopped.is_set():
                        return
                    written = write_identifier(report.attributes, proposal[1])
                    answer = association.event_report(
                        proposal, report.uid, report.event_type, written, sop_class=PUSH
                    )
                    if answer.status:
                        # It has heard, and does not want to: again would be no other.
                        log.warning("%s answers a report with 0x%04X %s", aet, answer.status, answer.reason)
                    self._reports.received(report.id)
