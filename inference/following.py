"""Follows what is stored: reports of models become observations of their quality."""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from pydicom import Dataset, dcmread

from inference.quality import Observation
from inference.quality_sql import SqlQuality
from inference.results.context import COMPREHENSIVE_3D_SR_STORAGE
from inference.results.reading import is_report, read_findings
from inference.workitems import UnknownWorkItem
from inference.workitems_sql import SqlWorkItems, utc_now
from storage.archive import Archive
from storage.errors import UnknownInstance
from storage.events import Event
from storage.instances import StoredInstance

log = logging.getLogger(__name__)

CURSOR = "reports"
_BATCH = 500
_REPORTS = frozenset({COMPREHENSIVE_3D_SR_STORAGE})


class ReportFollower:
    """Reads the archive's events by its own cursor; harmless when several processes do.

    Args:
        archive: whose events are read.
        work: which work item made a report, and when its images came.
        quality: where observations are kept.
        clock: the time now, aware.
    """

    def __init__(
        self,
        archive: Archive,
        work: SqlWorkItems,
        quality: SqlQuality,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._archive = archive
        self._work = work
        self._quality = quality
        self._clock = clock

    def poll(self) -> bool:
        """Take in what is new; whether there may be more. Raises `StorageDown`: poll again."""
        arrivals = self._work.arrivals
        before = arrivals.cursor(CURSOR)
        events = self._archive.events(before, _BATCH)
        if not events:
            return False
        for stored in self._reports(events):
            self._take(stored)
        arrivals.advance(CURSOR, before, events[-1].cursor, known={}, changed=[], deleted=[])
        return len(events) == _BATCH

    def _reports(self, events: Sequence[Event]) -> Iterator[StoredInstance]:
        """The reports among what was stored; of a series all objects are of one kind."""
        kinds: dict[str, bool] = {}
        for event in events:
            if event.kind != "instance.stored" or event.sop is None or kinds.get(event.series) is False:
                continue
            try:
                stored = self._archive.instance(event.sop)
            except UnknownInstance:
                continue
            kinds[event.series] = stored.sop_class in _REPORTS
            if kinds[event.series]:
                yield stored

    def _take(self, stored: StoredInstance) -> None:
        try:
            with self._archive.open(stored) as file:
                sr = dcmread(file)
            if is_report(sr):
                self._quality.add(self._observed(sr, stored))
        except UnknownInstance:
            return
        except (ValueError, KeyError, AttributeError, IndexError) as error:
            # One report that others wrote in our name must not hold up the rest.
            log.warning("report %s is left out of the figures: %s", stored.key.sop, error)

    def _observed(self, sr: Dataset, stored: StoredInstance) -> Observation:
        records = read_findings(sr)
        first, at = records[0], stored.stored_at or self._clock()
        header = self._header(first.study, first.series)
        return Observation(
            result=stored.key.sop,
            model=first.model,
            version=first.version,
            series=first.series,
            at=at,
            manufacturer=str(_value(header, "00080070") or "")[:64],
            scanner=str(_value(header, "00081090") or "")[:64],
            age=_years(_value(header, "00101010")),
            spacing=_number(_value(header, "00280030") or _value(header, "00181164")),
            kvp=_number(_value(header, "00180060")),
            findings=sum(record.presence == "present" for record in records),
            latency=self._latency(first.work_item, at),
        )

    def _header(self, study: str, series: str) -> dict[str, Any]:
        try:
            first = self._archive.instances(study, series)[0]
            header: dict[str, Any] = json.loads(next(iter(self._archive.headers([first]))))
        except UnknownInstance:
            return {}
        return header

    def _latency(self, work_item: str, at: datetime) -> float | None:
        try:
            item = self._work.get(work_item)
        except UnknownWorkItem:
            return None
        return (at - (item.received_at or item.created_at)).total_seconds()


def _value(header: dict[str, Any], tag: str) -> object:
    return next(iter(header.get(tag, {}).get("Value") or []), None)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _years(age: object) -> float | None:
    """An age string (AS, PS3.5 6.2) in years."""
    text = str(age or "")
    parts = {"Y": 1.0, "M": 12.0, "W": 52.18, "D": 365.25}
    if len(text) != 4 or text[3] not in parts or not text[:3].isdigit():  # noqa: PLR2004 - nnnD, nnnW, nnnM, nnnY
        return None
    return int(text[:3]) / parts[text[3]]
