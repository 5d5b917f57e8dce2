"""Carries out one work item: from its claim to its stored results, once, however often it is tried."""

import logging
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from pydicom import dcmread

from inference.analyse import analyse
from inference.company import Company
from inference.findings import Analysis
from inference.governance import ModelStopped
from inference.heartbeat import Heartbeat
from inference.inputs import InputImages, are_all_there, stored_images
from inference.records import FindingRecord
from inference.results.context import Report, ResultContext
from inference.results.reading import read_findings
from inference.results.rehearsal import rehearse
from inference.results.rows import finding_records
from inference.results.sources import source_images
from inference.results.write import ResultObjects, result_objects
from inference.selection import Chosen, Selection
from inference.suitability import Unsuitable
from inference.summaries.make import Summarize, no_summaries
from inference.triggers import model_reference, work_for
from inference.workitems import RESOURCES, LeaseLost, NewWorkItem, Outcome, State, WorkItem
from inference.workitems_sql import SqlWorkItems, utc_now
from models.card import Card
from models.errors import CardError, ModelError
from models.runtime import Runtime
from storage.archive import Archive
from storage.errors import DuplicateInstance, StorageDown, StorageFull, UnknownInstance
from storage.instances import Origin
from storage.spool import Spool

log = logging.getLogger(__name__)

_SOONEST, _LATEST = timedelta(seconds=2), timedelta(minutes=5)
_CONTENDERS = 16
"""So many are tried in turn: other workers take them at the same time."""


class Models(Protocol):
    """The models that may run."""

    def cards(self) -> Sequence[Card]: ...

    def get(self, name: str) -> Card: ...


class Superseded(Exception):
    """What the work item is about is no longer what is there; the message says why."""


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

    While the model of one runs, the images of the next are read and the results of the last are written.

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
        return self._work.get(uid) if item is None else self._held(item)

    def run_next(self, resources: Sequence[str] = RESOURCES) -> WorkItem | None:
        """Carry out the most urgent work item that is due for workers with `resources`; None: there is none.

        Raises:
            StorageDown: as `run`.
        """
        for uid in self._work.due(limit=_CONTENDERS, resources=resources):
            if item := self._work.claim(uid, self._worker, self._lease):
                return self._held(item)
        return None

    def _held(self, item: WorkItem) -> WorkItem:
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
                Heartbeat(self._work, item.uid, transaction, self._lease) as heartbeat,
                self._company.joined(alone=item.attempts > 1),
                self._limit(),
            ):
                return self._carried_out(item, transaction, heartbeat)
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

    def _carried_out(self, item: WorkItem, transaction: str, heartbeat: Heartbeat) -> WorkItem:
        context = ResultContext(item.uid, item.created_at, self._predecessor(item))
        if stored := self._stored_before(context):
            return self._work.complete(item.uid, transaction, *stored, timings={})
        card, images = self._card(item), self._images(item)
        with self._company.holding(sum(each.size for some in images for each in some.instances)):
            timings = self._waits(item)
            self._work.progress(item.uid, transaction, 10, "running the model")
            analysis = self._analysis(card, images)
            timings |= analysis.timings
            heartbeat.check()
            if item.shadow:
                records = finding_records(analysis, context)
                return self._work.complete(item.uid, transaction, (), records, timings)
            self._work.progress(item.uid, transaction, 80, "writing the results")
            with _timed(timings, "results"):
                objects = self._objects(analysis, context)
            heartbeat.check()
            with _timed(timings, "store"):
                self._store(objects, item)
            return self._work.complete(item.uid, transaction, objects.uids, objects.records, timings)

    def _waits(self, item: WorkItem) -> dict[str, float]:
        """Seconds from the last image to the work item, and from there to its beginning."""
        received = item.received_at or item.created_at
        return {
            "completeness": (item.created_at - received).total_seconds(),
            "queue": (self._clock() - item.created_at).total_seconds(),
        }

    def _analysis(self, card: Card, images: Sequence[InputImages]) -> Analysis:
        analysis = analyse(card, self._archive, self._runtime, images)
        if analysis.refusal is not None:
            raise Unsuitable(analysis.refusal)
        return analysis

    def _card(self, item: WorkItem) -> Card:
        """The very model that the item was made for; where there is a newer one, its work is scheduled."""
        if item.shadow:
            return self._in_shadow(item)
        card = self._catalog.get(item.model.name)
        current = model_reference(card)
        if current == item.model:
            return card
        news = self._again(card, item)
        for new in news:
            self._work.create_if_absent(new)
        where = "".join(f", see {new.uid}" for new in news)
        raise Superseded(f"{card.name} is at version {card.version} now{where}")

    def _again(self, card: Card, item: WorkItem) -> list[NewWorkItem]:
        """The work of another version: on the same images, or on those that its inputs take."""
        inputs = self._work.inputs(item.uid)
        if len(card.images) == len(inputs.parts) == 1:
            chosen = [Chosen(inputs, item.attributes)]
        else:
            chosen = self._chosen_anew(card, item)
        work = (work_for(card, each, self._clock(), item.priority) for each in chosen)
        return [replace(new, received_at=item.received_at) for new in work]

    def _chosen_anew(self, card: Card, item: WorkItem) -> list[Chosen]:
        try:
            return Selection(self._archive).in_study(card, item.study, item.series)
        except UnknownInstance:
            return []

    def _in_shadow(self, item: WorkItem) -> Card:
        for card in self._shadows():
            if model_reference(card) == item.model:
                return card
        raise Superseded(f"{item.model.name} {item.model.version} does not run in shadow any more")

    def _images(self, item: WorkItem) -> list[InputImages]:
        """The very images that the item was made for."""
        inputs = self._work.inputs(item.uid)
        images = stored_images(self._archive, inputs)
        if not are_all_there(images, inputs):
            raise Superseded("images were deleted or replaced since")
        return images

    def _predecessor(self, item: WorkItem) -> Report | None:
        """The report that this one supersedes: that of the last earlier item that came to one."""
        earlier = item.predecessor
        while earlier is not None:
            before = self._work.get(earlier)
            if before.state is State.COMPLETED and before.results:
                return self._report(before.results[0])
            earlier = before.predecessor
        return None

    def _report(self, sop: str) -> Report | None:
        try:
            key = self._archive.instance(sop).key
        except UnknownInstance:
            return None
        return Report(key.study, key.series, key.sop)

    def _objects(self, analysis: Analysis, context: ResultContext) -> ResultObjects:
        images = source_images(self._archive.headers(analysis.sources))
        objects = result_objects(analysis, images, context)
        return self._summarize(objects, analysis, images, context)

    def _store(self, objects: ResultObjects, item: WorkItem) -> None:
        # The report last: whoever finds it finds the masks that it refers to, and a worker that takes the
        # item over after a report was stored has nothing more to do.
        with self._archive.delivery(
            Origin("inference", f"{item.model.name} {item.model.version}")
        ) as delivery:
            for data in objects.files:
                file = self._spool.new()
                file.write(data)
                delivery.ingest(file)

    def _stored_before(self, context: ResultContext) -> tuple[tuple[str, ...], list[FindingRecord]] | None:
        """The results of an earlier try that ended between storing them and saying so."""
        try:
            stored = self._archive.instance(context.report)
        except UnknownInstance:
            return None
        with self._archive.open(stored) as file:
            records = read_findings(dcmread(file))
        masks = dict.fromkeys(record.segment.sop for record in records if record.segment)
        return (context.report, *masks), records


@contextmanager
def _timed(timings: dict[str, float], step: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    timings[step] = time.perf_counter() - began
