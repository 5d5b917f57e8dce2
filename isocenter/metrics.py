"""Prometheus metrics, read from the database when scraped, so that every process tells the same."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from inference.quality import Figures
from inference.workitems import State
from isocenter.routing.shipments import Figures as Destined


class _Archive(Protocol):
    def counts(self) -> dict[str, int]: ...


class _Work(Protocol):
    def counts(self) -> Mapping[State, int]: ...


class _Quality(Protocol):
    def totals(self) -> Sequence[Figures]: ...


class _Shipments(Protocol):
    def figures(self) -> Sequence[Destined]: ...


class _Judged(Collector):
    """Quality by model and version: only a person who adds a model adds a label."""

    def __init__(self, quality: _Quality) -> None:
        self._quality = quality

    def collect(self) -> Iterator[Metric]:
        labels = ["model", "version"]
        results = GaugeMetricFamily("isocenter_results", "Stored reports of models", labels=labels)
        findings = GaugeMetricFamily("isocenter_findings", "Findings in them", labels=labels)
        latency = GaugeMetricFamily(
            "isocenter_result_latency_seconds", "Mean time from last image to report", labels=labels
        )
        agreement = GaugeMetricFamily(
            "isocenter_agreement_ratio", "Share of findings on which people agree", labels=labels
        )
        reviews = GaugeMetricFamily("isocenter_reviews", "Findings by verdict", labels=[*labels, "verdict"])
        for each in self._quality.totals():
            key = [each.model, each.version]
            results.add_metric(key, each.results)
            findings.add_metric(key, each.findings)
            if each.latency is not None:
                latency.add_metric(key, each.latency)
            if each.verdicts.agreement is not None:
                agreement.add_metric(key, each.verdicts.agreement)
            for verdict in ("accepted", "corrected", "rejected", "missed"):
                reviews.add_metric([*key, verdict], getattr(each.verdicts, verdict))
        yield from (results, findings, latency, agreement, reviews)


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


class _Sent(Collector):
    """Sending by destination: only the settings add a label."""

    def __init__(self, shipments: _Shipments) -> None:
        self._shipments = shipments

    def collect(self) -> Iterator[Metric]:
        labels, now = ["destination"], datetime.now(UTC)
        queued = GaugeMetricFamily(
            "isocenter_route_queue", "Instances that wait", labels=["destination", "state"]
        )
        oldest = GaugeMetricFamily(
            "isocenter_route_oldest_seconds", "How long the first that waits has waited", labels=labels
        )
        sent = CounterMetricFamily("isocenter_route_sent", "Instances sent", labels=labels)
        failed = CounterMetricFamily("isocenter_route_failed", "Attempts that failed", labels=labels)
        for each in self._shipments.figures():
            key = [each.destination]
            queued.add_metric([*key, "waiting"], each.waiting)
            queued.add_metric([*key, "parked"], each.parked)
            oldest.add_metric(key, (now - each.oldest).total_seconds() if each.oldest else 0)
            sent.add_metric(key, each.sent)
            failed.add_metric(key, each.failed)
        yield from (queued, oldest, sent, failed)


def registry_for(
    archive: _Archive, work: _Work, quality: _Quality, shipments: _Shipments
) -> CollectorRegistry:
    """A registry of its own: nothing global."""
    registry = CollectorRegistry()
    registry.register(_Stored(archive, work))
    registry.register(_Judged(quality))
    registry.register(_Sent(shipments))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return registry
