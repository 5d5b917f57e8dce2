"""The whole path on one machine, with a sample study of known truth: send, store, analyse, look."""

import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from inference.records import FindingRecord
from inference.workitems import FINAL, WorkItem
from isocenter import migrations
from isocenter.commands.console import err, out, print_table, progress
from isocenter.commands.run import parts_of
from isocenter.part import configure_logging, until_stopped
from isocenter.services import Services, open_services
from isocenter.settings import load_settings
from isocenter.supervisor import Supervisor
from sample_studies.samples import ensure_sample, sample_truth

SAMPLE = "red-triangle"
PATIENCE_SECONDS = 300
_UNITS = {"1": "", "[hnsf'U]": "HU", "{ratio}": ""}
"""UCUM units as people write them, where those differ."""


@dataclass(frozen=True)
class Expected:
    """One number of the sample's truth, and how near a model must come."""

    name: str
    concept: str
    """Code value of the measurement's concept, or of its derivation where that tells it apart."""
    truth: Callable[[dict[str, Any]], float]
    unit: str
    tolerance: Callable[[float], float]


EXPECTED = (
    Expected("lung volume", "118565006", lambda t: t["volume_ml"][0], "ml", lambda truth: 0.01 * truth),
    Expected("emphysema index LAA-950", "LAA-950", lambda t: t["laa950_percent"], "%", lambda _: 0.5),
)


def run_demo(data: Path | None, dicom_port: int, http_port: int, *, once: bool) -> bool:
    """Start everything in `data` (or a temporary folder), send the sample, show the findings, serve on.

    Returns:
        Whether the findings match what the sample is known to contain.
    """
    configure_logging("warning")
    with tempfile.TemporaryDirectory(prefix="isocenter-demo-") as temporary:
        folder = data or Path(temporary)
        environment = {
            "ISOCENTER_DATA": str(folder),
            "ISOCENTER_NODE__PORT": str(_free(dicom_port)),
            "ISOCENTER_WEB__PORT": str(_free(http_port)),
            "ISOCENTER_LOG_LEVEL": "warning",
        }
        settings = load_settings(None, environment)
        folder.mkdir(parents=True, exist_ok=True)
        migrations.upgrade(settings.index_url)
        with _running(parts_of(settings), environment) as (supervisor, facts), until_stopped() as stopped:
            with open_services(settings) as services:
                right = _show(services, facts)
            if not once:
                out.print("\nServing until Ctrl-C.")
                supervisor.watch(stopped.is_set)
    return right


def _free(port: int) -> int:
    """`port`, or 0 when something listens there already."""
    with socket.socket() as probe:
        taken = probe.connect_ex(("127.0.0.1", port)) == 0
    if port and taken:
        err.print(f"port {port} is in use; taking a free one")
    return 0 if taken else port


@contextmanager
def _running(
    parts: tuple[str, ...], environment: dict[str, str]
) -> Iterator[tuple[Supervisor, dict[str, str]]]:
    with err.status("starting DICOM node, web server and worker"):
        supervisor = Supervisor(parts, environment)
        facts = supervisor.start()
    out.print(f"listening: DICOM ISOCENTER@{facts['dicom']}, web {facts['http']}")
    try:
        yield supervisor, facts
    finally:
        supervisor.stop()


def _show(services: Services, facts: dict[str, str]) -> bool:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "isocenter" / "samples"
    with err.status(f"making the sample study {SAMPLE} (once)"):
        files = ensure_sample(SAMPLE, cache)
    sent_at = _send(files, facts["dicom"])
    study = services.archive.events(None, limit=1)[0].study or ""
    items = _wait(services, study)
    records = services.findings.of_study(study)
    out.print()
    for item in items:
        _print_item(item, sent_at)
    _print_total(items, sent_at)
    out.print()
    _print_findings(records)
    matches = _compare(records, sample_truth(SAMPLE, cache))
    _print_where(services, study, items, facts["http"])
    return matches and all(item.results for item in items)


def _send(files: list[Path], address: str) -> datetime:
    """Send over one association; when the last image was acknowledged."""
    from dicom_node import send as scu  # noqa: PLC0415 - pynetdicom is slow to import

    host, _, port = address.rpartition(":")
    began = time.monotonic()
    with progress() as bar:
        task = bar.add_task("sending over C-STORE", total=len(files))
        results = scu.send(files, host, int(port), "ISOCENTER", "DEMO", progress=lambda _: bar.advance(task))
    ended = datetime.now(UTC)
    stored = sum(result.stored for result in results)
    seconds = time.monotonic() - began
    out.print(
        f"sent: {stored} of {len(files)} images stored in {seconds:.1f} s ({stored / seconds:.0f} a second)"
    )
    if stored < len(files):
        raise click.ClickException(next(result.reason for result in results if not result.stored))
    return ended


def _wait(services: Services, study: str) -> list[WorkItem]:
    """The work items of the study, all ended."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    with err.status("waiting until the series is complete") as status:
        while time.monotonic() < deadline:
            items = list(services.work.list(study=study))
            if items and all(item.state in FINAL for item in items):
                return sorted(items, key=lambda item: item.finished_at or item.created_at)
            running = [f"{item.model.name} {item.progress} %" for item in items if item.state not in FINAL]
            if running:
                status.update(f"models at work: {', '.join(running)}")
            time.sleep(0.1)
    raise click.ClickException(f"no result within {PATIENCE_SECONDS} s; see `isocenter work list`")


def _print_item(item: WorkItem, sent_at: datetime) -> None:
    name = f"{item.model.name} {item.model.version}"
    if not item.finished_at or not item.results:
        out.print(f"{name}: {item.state.value.lower()}: {item.reason}", markup=False, soft_wrap=True)
        return
    parts = ", ".join(f"{step} {seconds:.2f}" for step, seconds in item.timings.items())
    total = (item.finished_at - sent_at).total_seconds()
    out.print(
        f"{name}: {total:.1f} s from last image to stored result ({parts})", markup=False, soft_wrap=True
    )


def _print_total(items: list[WorkItem], sent_at: datetime) -> None:
    """The whole study: what the models took, and what everything of ours took, waiting included."""
    ended = max(item.finished_at or sent_at for item in items)
    total = (ended - sent_at).total_seconds()
    models = sum(item.timings.get("model", 0.0) for item in items)
    out.print(f"the study: {total:.1f} s; the models {models:.1f} s, everything else {total - models:.1f} s")


def _print_findings(records: tuple[FindingRecord, ...], most: int = 16) -> None:
    rows = []
    for record in records[:most]:
        values = "; ".join(
            f"{(m.derivation or m.concept).meaning} {m.value:.5g} {_UNITS.get(m.unit.value, m.unit.value)}"
            for m in record.measurements
        )
        site = ", ".join(code.meaning for code in (record.site, record.laterality) if code)
        score = f"{record.score.value:.2f}" if record.score else ""
        rows.append((record.model, record.code.meaning, record.presence, site, values, score))
    print_table(("model", "finding", "", "site", "values", "score"), rows)
    if len(records) > most:
        out.print(f"… and {len(records) - most} more")


def _compare(records: tuple[FindingRecord, ...], truth: dict[str, Any]) -> bool:
    """Print the numbers beside the sample's truth; whether all are within tolerance."""
    measured = {
        code.value: measurement.value
        for record in records
        if not record.laterality
        for measurement in record.measurements
        for code in (measurement.concept, measurement.derivation, measurement.method)
        if code
    }
    rows, right = [], True
    for each in EXPECTED:
        value, expected = measured.get(each.concept), each.truth(truth)
        within = value is not None and abs(value - expected) <= each.tolerance(expected)
        right = right and within
        shown = "missing" if value is None else f"{value:.2f}"
        rows.append(
            (each.name, shown, f"{expected:.2f}", each.unit, "ok" if within else "NOT WITHIN TOLERANCE")
        )
    out.print()
    print_table(("against the truth", "found", "true", "unit", ""), rows)
    return right


def _print_where(services: Services, study: str, items: list[WorkItem], url: str) -> None:
    classes = {"1.2.840.10008.5.1.4.1.1.66.4": "SEG"}
    out.print()
    for item in items:
        for sop in item.results:
            kind = classes.get(services.archive.instance(sop).sop_class, "SR")
            out.print(f"{item.model.name} {kind}: {sop}", markup=False, soft_wrap=True)
    out.print(f"\nstudy list  {url}/\nthis study  {url}/studies/{study}", markup=False, soft_wrap=True)
    out.print(f"DICOMweb    {url}/dicom-web/studies/{study}/metadata", markup=False, soft_wrap=True)
