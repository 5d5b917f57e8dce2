"""Carries out work items: from their claim to their stored results, once, however often they are tried."""

import logging
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime, timedelta
from itertools import islice

from inference.analyse import analyse_all
from inference.company import Company
from inference.findings import Analysis
from inference.governance import ModelStopped
from inference.heartbeat import Heartbeat
from inference.records import FindingRecord
from inference.results.rehearsal import rehearse
from inference.results.rows import finding_records
from inference.results.sources import source_images
from inference.results.write import ResultObjects, result_objects
from inference.suitability import Unsuitable
from inference.summaries.make import Summarize, no_summaries
from inference.undertaking import Models, Superseded, Undertaking, Undertakings
from inference.workitems import RESOURCES, Completed, LeaseLost, Outcome, WorkItem
from inference.workitems_sql import SqlWorkItems, utc_now
from models.card import Card
from models.errors import CardError, ModelError
from models.runtime import Runtime
from storage.archive import Archive
from storage.errors import DuplicateInstance, StorageDown, StorageFull
from storage.instances import Origin, Refused
from storage.spool import Spool, SpoolFile

log = logging.getLogger(__name__)

_SOONEST, _LATEST = timedelta(seconds=2), timedelta(minutes=5)
_CONTENDERS = 16
"""So many are tried in turn: other workers take them at the same time."""


# Asking again would give the same answer.
_FINAL_REASONS: Mapping[type[Exception], Outcome] = {
    Unsuitable: Outcome.REFUSED,
    Superseded: Outcome.SUPERSEDED,
    ModelStopped: Outcome.WITHDRAWN,
    CardError: Outcome.FAILED,
    DuplicateInstance: Outcome.FAILED,
}


class Pipeline:
    """Runs work items, in as many threads as call it.

    While the model of one runs, the images of the next are read and the results of the last are written. Work
    of one image each for a model that takes batches is carried out together: read, run, stored and ended at
    once. What then goes wrong leaves nothing behind, and each is carried out alone.

    Args:
        archive: where images come from and results go.
        spool: where result files wait for the archive.
        work: the work list.
        catalog: the models.
        runtime: what runs them.
        lease_seconds: for how long an item stays with a worker that says nothing.
        max_attempts: after how many failed tries an item is given up.
        worker: name of this worker; by default host and process.
        shadows: the versions that run in shadow.
        clock: the time now, aware.
        limit: entered for each try; ends this process when the try takes too long.
        room: bytes of images, as stored, that threads of this process work on at once; more than that alone.
        summarize: adds to results what those can show who show no reports.
    """

    def __init__(
        self,
        archive: Archive,
        spool: Spool,
        work: SqlWorkItems,
        catalog: Models,
        runtime: Runtime,
        *,
        lease_seconds: float = 60.0,
        max_attempts: int = 3,
        worker: str = "",
        shadows: Callable[[], Sequence[Card]] = tuple,
        clock: Callable[[], datetime] = utc_now,
        limit: Callable[[], AbstractContextManager[None]] = nullcontext,
        room: int = 256 << 20,
        summarize: Summarize = no_summaries,
    ) -> None:
        self._archive = archive
        self._spool = spool
        self._work = work
        self._catalog = catalog
        self._runtime = runtime
        self._undertakings = Undertakings(archive, work, catalog, shadows, clock)
        self._lease = timedelta(seconds=lease_seconds)
        self._max_attempts = max_attempts
        self._worker = worker or f"{socket.gethostname()}:{os.getpid()}"
        self._shadows = shadows
        self._clock = clock
        self._limit = limit
        self._company = Company(room)
        self._summarize = summarize

    def warm_up(self) -> None:
        """Load the models and all that results need, so that the first work item does not wait for it."""
        for card in [*self._catalog.cards(), *self._shadows()]:
            try:
                self._runtime.load(card)
            except ModelError as error:
                log.warning("%s", error)
        rehearse()

    def run(self, uid: str) -> WorkItem:
        """Carry out the work item, unless it is not due, held by another worker, or has ended.

        Returns:
            The item as it is afterwards: COMPLETED; CANCELED with its reason; or IN PROGRESS, to be tried
            again at its `due_at` or held by somebody else.

        Raises:
            UnknownWorkItem: there is none of this UID.
            StorageDown: the database did not answer; the item is due again when its lease has run out.
        """
        item = self._work.claim(uid, self._worker, self._lease)
        return self._work.get(uid) if item is None else self._alone(item)

    def run_next(self, resources: Sequence[str] = RESOURCES) -> tuple[WorkItem, ...]:
        """Carry out the most urgent work item that is due for workers with `resources`, if there is one.

        Returns:
            It, and what was carried out together with it.

        Raises:
            StorageDown: as `run`.
        """
        for uid in self._work.due(limit=_CONTENDERS, resources=resources):
            if item := self._work.claim(uid, self._worker, self._lease):
                others = self._alike(item)
                return self._together([item, *others]) if others else (self._alone(item),)
        return ()

    def _alike(self, item: WorkItem) -> Sequence[WorkItem]:
        """What is claimed with it."""
        if item.attempts > 1 or item.instances > 1 or item.shadow:
            return []
        try:
            card = self._catalog.get(item.model.name)
        except tuple(_FINAL_REASONS):
            return []  # the item itself will say why
        if card.applies_to.scope == "series" or card.runtime.max_batch == 1:
            return []
        return self._work.claim_alike(item, card.runtime.max_batch - 1, self._worker, self._lease)

    def _together(self, items: Sequence[WorkItem]) -> tuple[WorkItem, ...]:
        try:
            with Heartbeat(self._work, items, self._lease) as heartbeat, self._inside(alone=False):
                return self._carried_out(items, heartbeat)
        except Exception as error:  # noqa: BLE001 - whose fault it was shows when each is alone
            log.info("%d work items are carried out one by one: %s", len(items), error)
        return tuple(self._alone(item) for item in items)

    @contextmanager
    def _inside(self, *, alone: bool) -> Iterator[None]:
        with self._company.joined(alone=alone), self._limit():
            yield

    def _alone(self, item: WorkItem) -> WorkItem:
        assert item.transaction is not None  # noqa: S101 - it was claimed
        try:
            return self._tried(item, item.transaction)
        except LeaseLost as error:
            log.warning("%s", error)
            return self._work.get(item.uid)

    def _tried(self, item: WorkItem, transaction: str) -> WorkItem:
        if item.attempts > self._max_attempts:
            reason = (
                f"given up after {self._max_attempts} tries: {item.reason or 'the worker died each time'}"
            )
            return self._work.end(item.uid, transaction, Outcome.FAILED, reason)
        try:
            with (
                Heartbeat(self._work, [item], self._lease) as heartbeat,
                self._inside(alone=item.attempts > 1),
            ):
                return self._carried_out([item], heartbeat)[0]
        except LeaseLost:
            raise
        except tuple(_FINAL_REASONS) as error:
            return self._work.end(item.uid, transaction, _FINAL_REASONS[type(error)], str(error))
        except (StorageDown, StorageFull) as error:
            log.warning("work item %s: %s", item.uid, error)
            return self._work.retry(item.uid, transaction, str(error), self._later(item), counts=False)
        except Exception as error:
            # Whatever one input does to a model, the others must not wait for it.
            log.exception("work item %s failed", item.uid)
            return self._failed(item, transaction, f"{type(error).__name__}: {error}")

    def _failed(self, item: WorkItem, transaction: str, reason: str) -> WorkItem:
        if item.attempts >= self._max_attempts:
            return self._work.end(item.uid, transaction, Outcome.FAILED, reason)
        return self._work.retry(item.uid, transaction, reason, self._later(item))

    def _later(self, item: WorkItem) -> datetime:
        """Longer from try to try: half the time that the item has been under way."""
        now = self._clock()
        waited = (now - (item.started_at or now)) / 2
        return now + min(max(waited, _SOONEST), _LATEST)

    def _carried_out(self, items: Sequence[WorkItem], heartbeat: Heartbeat) -> tuple[WorkItem, ...]:
        """All of them or, with an error, none."""
        before = [self._undertakings.stored_before(item) for item in items]
        new = [
            self._undertakings.of(item) for item, known in zip(items, before, strict=True) if known is None
        ]
        made = iter(self._made(new, heartbeat) if new else ())
        done = [
            next(made) if known is None else _completed(item, known.results, known.findings, {})
            for item, known in zip(items, before, strict=True)
        ]
        return self._work.complete(done)

    def _made(self, wanted: Sequence[Undertaking], heartbeat: Heartbeat) -> list[Completed]:
        """The results of work for one model, stored."""
        card, shadow = wanted[0].card, wanted[0].item.shadow
        with self._company.holding(sum(each.size for each in wanted)):
            timings = [self._waits(each.item) for each in wanted]
            heartbeat.tell(10, "running the model")
            analyses = analyse_all(card, self._archive, self._runtime, [each.images for each in wanted])
            for own, analysis in zip(timings, analyses, strict=True):
                own.update(analysis.timings)
            if shadow:
                found = zip(wanted, analyses, timings, strict=True)
                return [_completed(u.item, (), finding_records(a, u.context), t) for u, a, t in found]
            heartbeat.tell(80, "writing the results")
            with _timed(timings, "results"):
                objects = list(self._objects(wanted, analyses))
            heartbeat.check()
            with _timed(timings, "store"):
                self._store(objects, wanted[0].item)
            stored = zip(wanted, objects, timings, strict=True)
            return [_completed(u.item, o.uids, o.records, t) for u, o, t in stored]

    def _waits(self, item: WorkItem) -> dict[str, float]:
        """Seconds from the last image to the work item, and from there to its beginning."""
        received = item.received_at or item.created_at
        return {
            "completeness": (item.created_at - received).total_seconds(),
            "queue": (self._clock() - item.created_at).total_seconds(),
        }

    def _objects(
        self, wanted: Sequence[Undertaking], analyses: Sequence[Analysis]
    ) -> Iterator[ResultObjects]:
        headers = self._archive.headers([image for each in analyses for image in each.sources])
        for undertaking, analysis in zip(wanted, analyses, strict=True):
            images = source_images(islice(headers, len(analysis.sources)))
            objects = result_objects(analysis, images, undertaking.context)
            yield self._summarize(objects, analysis, images, undertaking.context)

    def _store(self, objects: Sequence[ResultObjects], item: WorkItem) -> None:
        # The report last: whoever finds it finds the masks that it refers to, and a worker that takes the
        # item over after a report was stored has nothing more to do.
        files = (self._spooled(data) for each in objects for data in each.files)
        origin = Origin("inference", f"{item.model.name} {item.model.version}")
        with self._archive.delivery(origin) as delivery:
            for outcome in delivery.ingest_many(files):
                if isinstance(outcome, Refused):
                    raise outcome.error

    def _spooled(self, data: bytes) -> SpoolFile:
        file = self._spool.new()
        file.write(data)
        return file


def _completed(
    item: WorkItem, results: Sequence[str], findings: Sequence[FindingRecord], timings: Mapping[str, float]
) -> Completed:
    return Completed(item.uid, item.transaction or "", results, findings, timings)


@contextmanager
def _timed(timings: Sequence[dict[str, float]], step: str) -> Iterator[None]:
    """Note for each its share of the time."""
    began = time.perf_counter()
    yield
    for own in timings:
        own[step] = (time.perf_counter() - began) / len(timings)
