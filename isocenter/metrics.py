"""Prometheus metrics, read from the database when scraped, so that every process tells the same."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from inference.workitems import State


class _Archive(Protocol):
    def counts(self) -> dict[str, int]: ...


class _Work(Protocol):
    def counts(self) -> Mapping[State, int]: ...


class _Stored(Collector):
    def __init__(self, archive: _Archive, work: _Work) -> None:
        self._archive = archive
        self._work = work

    def collect(self) -> Iterator[Metric]:
        stored = GaugeMetricFamily("isocenter_stored", "What the archive holds", labels=["level"])
        for level, count in self._archive.counts().items():
            stored.add_metric([level], count)
        yield stored
        work = GaugeMetricFamily(
            "isocenter_work_items", "Work items by procedure step state", labels=["state"]
        )
        for state, count in self._work.counts().items():
            work.add_metric([state.value], count)
        yield work


def registry_for(archive: _Archive, work: _Work) -> CollectorRegistry:
    """A registry of its own: nothing global."""
    registry = CollectorRegistry()
    registry.register(_Stored(archive, work))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return registry
