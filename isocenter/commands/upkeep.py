"""Commands for the person who keeps the system running."""

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
from sqlalchemy.exc import SQLAlchemyError

from isocenter import migrations
from isocenter.commands.console import err, out, print_json, print_table
from isocenter.commands.options import with_settings
from isocenter.commands.run import in_process
from isocenter.settings import Settings, SettingsError
from storage.errors import StorageError

if TYPE_CHECKING:
    from pydicom import Dataset

    from isocenter.services import Services

COMPREHENSIVE_3D_SR = "1.2.840.10008.5.1.4.1.1.88.34"


@click.command()
@with_settings()
def migrate(settings: Settings) -> None:
    """Bring the database to this version's schema."""
    settings.data.mkdir(parents=True, exist_ok=True)
    migrations.upgrade(settings.index_url)
    out.print("the database is at this version's schema")


@click.command()
@with_settings()
def reindex(settings: Settings) -> None:
    """Rebuild the index from the stored objects alone.

    Harmless when rows are there already, and while the system is in use.
    """
    from isocenter.services import open_services  # noqa: PLC0415
    from storage.reindex import reindex as reindex_blobs  # noqa: PLC0415

    with open_services(settings) as services, err.status("reading objects") as status:
        report = reindex_blobs(
            services.blobs,
            services.index,
            services.spool,
            progress=lambda so_far: status.update(f"reading objects: {so_far.added + so_far.known}"),
        )
        findings = _reindex_findings(services)
    out.print(
        f"{report.added} instances added, {report.known} were known, {report.quarantined} in quarantine, "
        f"{report.deleted} deleted (see `isocenter deletions`); {findings} findings read from reports"
    )
    for name, reason in report.failed:
        out.print(f"not indexed: {name}: {reason}", markup=False, soft_wrap=True)
    raise SystemExit(1 if report.failed else 0)


def _reindex_findings(services: "Services") -> int:
    """Read the findings out of every report of ours, and what people said of them; how many there are."""
    from inference.restoring import restore  # noqa: PLC0415
    from inference.results.reading import is_report, is_verified_report, read_findings  # noqa: PLC0415

    count = 0
    for study in services.index.study_uids():
        reports = _reports(services, study)
        for report in filter(is_report, reports):
            records = read_findings(report)
            services.findings.replace_report(report.SOPInstanceUID, records)
            count += len(records)
        drafts = services.findings.of_study(study, superseded=True)
        for report in filter(is_verified_report, reports):
            restore(report, drafts, services.history)
    return count


def _reports(services: "Services", study: str) -> "list[Dataset]":
    from pydicom import dcmread  # noqa: PLC0415

    read = []
    for stored in services.archive.instances(study):
        if stored.sop_class == COMPREHENSIVE_3D_SR:
            with services.archive.open(stored) as file:
                read.append(dcmread(file))
    return read


@click.command()
@with_settings()
def sweep(settings: Settings) -> None:
    """Compare objects and index, and mend what can be mended; nothing is thrown away.

    Objects without a row are taken into the index, removals that were begun are finished. Exits with 1 when
    the index names objects that are not there.
    """
    from isocenter.services import open_services  # noqa: PLC0415
    from storage.sweep import sweep as sweep_blobs  # noqa: PLC0415

    with open_services(settings) as services, err.status("comparing objects and index"):
        swept = sweep_blobs(services.blobs, services.index, services.spool)
    out.print(
        f"{swept.removed} removals finished, {swept.adopted.added} objects taken into the index, "
        f"{len(swept.difference.without_blob)} lost"
    )
    for name in swept.difference.without_blob:
        out.print(f"lost: {name}", markup=False, soft_wrap=True)
    for name in swept.difference.foreign:
        out.print(f"not ours: {name}", markup=False, soft_wrap=True)
    raise SystemExit(1 if swept.difference.without_blob else 0)


@click.command()
@with_settings()
@click.option("--study", help="Study Instance UID.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
def refusals(settings: Settings, study: str | None, limit: int, *, as_json: bool) -> None:
    """List what was refused, latest first: why, from whom, and where the bytes are kept."""
    from isocenter.services import open_services  # noqa: PLC0415

    with open_services(settings) as services:
        found = services.archive.refusals(limit, study)
    if as_json:
        print_json([asdict(each) for each in found])
        return
    print_table(
        ("last", "times", "from", "SOP Instance UID", "reason", "kept as"),
        [
            (
                f"{r.last_at:%Y-%m-%d %H:%M:%S}",
                r.times,
                f"{r.origin.protocol} {r.origin.peer}",
                r.sop,
                r.reason,
                r.blob,
            )
            for r in found
        ],
    )


def _database(settings: Settings) -> str:
    from storage.sql.engine import connect  # noqa: PLC0415

    settings.data.mkdir(parents=True, exist_ok=True)
    engine = connect(settings.index_url)
    try:
        if engine.dialect.name != "sqlite" and not migrations.is_current(engine):
            raise SettingsError("schema of another version: run `isocenter migrate`")
        return str(engine.url.render_as_string(hide_password=True))
    finally:
        engine.dispose()


def _blobs(settings: Settings) -> str:
    from isocenter.services import blobs_for  # noqa: PLC0415

    blobs_for(settings).health()
    s3 = settings.storage.s3
    return (
        f"{s3.endpoint}/{s3.bucket}" if settings.storage.blobs == "s3" and s3 else str(settings.objects_dir)
    )


def _broker(settings: Settings) -> str:
    from kombu.exceptions import OperationalError  # noqa: PLC0415

    from isocenter.worker import celery_app  # noqa: PLC0415

    if in_process(settings):
        return "inside the worker"
    with celery_app(settings.broker.url).connection_for_write() as connection:
        try:
            connection.ensure_connection(max_retries=1, timeout=5)
        except OperationalError as error:
            raise SettingsError(f"{connection.as_uri()} does not answer: {error}") from None
        return str(connection.as_uri())


def _models(settings: Settings) -> str:
    from isocenter.model_rules import ModelRules  # noqa: PLC0415 - few commands need the work list
    from isocenter.services import catalog_for  # noqa: PLC0415

    catalog = catalog_for(settings)
    if broken := catalog.broken():
        raise SettingsError("; ".join(f"{each.folder}: {each.reason}" for each in broken))
    names = {card.name for card in catalog.versions()} | {card.name for card in catalog.external()}
    if unknown := ModelRules(settings.inference.rules).unknown(names):
        raise SettingsError(f"inference.rules: no model is called {', '.join(unknown)}")
    return ", ".join(f"{card.name} {card.version}" for card in catalog.cards()) or "none"


def _runtime(_: Settings) -> str:
    import onnxruntime  # noqa: PLC0415 - half a second

    return f"onnxruntime {onnxruntime.__version__}: {', '.join(onnxruntime.get_available_providers())}"


CHECKS: dict[str, Callable[[Settings], str]] = {
    "database": _database,
    "objects": _blobs,
    "broker": _broker,
    "models": _models,
    "runtime": _runtime,
}


@click.command()
@with_settings()
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
def doctor(settings: Settings, *, as_json: bool) -> None:
    """Check everything this installation needs, and say what is wrong."""
    rows: list[dict[str, object]] = []
    for name, check in CHECKS.items():
        try:
            rows.append({"check": name, "ok": True, "detail": check(settings)})
        except (SettingsError, StorageError, SQLAlchemyError, OSError, ValueError) as error:
            rows.append({"check": name, "ok": False, "detail": str(error).splitlines()[0]})
    if as_json:
        print_json(rows)
    else:
        print_table(
            ("check", "", ""), [(r["check"], "ok" if r["ok"] else "FAILED", r["detail"]) for r in rows]
        )
    raise SystemExit(0 if all(row["ok"] for row in rows) else 1)
