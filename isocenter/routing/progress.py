"""How far an attempt at a shipment has come, noted now and then."""

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from isocenter.routing.queue_sql import SqlShipments
from isocenter.routing.shipments import Shipment

_NOTE_SECONDS = 0.5
_RENEWALS = 3
"""A lease is renewed so many times in its span."""


class Progress:
    """Keeps results until they are noted, twice a second, and the lease from running out."""

    def __init__(self, queue: SqlShipments, shipment: Shipment, lease: timedelta) -> None:
        """Begin with nothing."""
        self._queue = queue
        self._shipment = shipment
        self._lease = lease
        self._results: dict[str, str] = {}
        self._noted = time.monotonic()
        self.lost = False
        """The shipment was dropped, or is another's."""
        self.sent = 0
        """Instances."""
        self.failures: list[str] = []
        """Why instances were not stored."""

    def add(self, sop: str, reason: str) -> None:
        """What became of an instance; an empty reason when it was stored."""
        self._results[sop] = reason
        if reason:
            self.failures.append(reason)
        else:
            self.sent += 1
        if time.monotonic() - self._noted >= _NOTE_SECONDS:
            self.note()

    def watched(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The chunks of an instance, which may take longer than a lease."""
        for chunk in chunks:
            if time.monotonic() - self._noted >= self._lease.total_seconds() / _RENEWALS:
                self.note()
            yield chunk

    def note(self) -> None:
        """Write down what is known."""
        results, self._results = self._results, {}
        self._noted = time.monotonic()
        self.lost = not self._queue.note(self._shipment, results, datetime.now(UTC), self._lease)
