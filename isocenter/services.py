"""The chosen implementations, put together: reading `open_services` tells what runs where."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from inference.comparison import Comparison, compare
from inference.findings_sql import SqlFindings
from inference.governance import GovernedModels
from inference.governance_sql import SqlDecisions
from inference.orders import Orders
from inference.overview_sql import SqlOverview
from inference.quality import floors_of, pause_below
from inference.quality_sql import SqlQuality
from inference.reviewing import Reviews
from inference.reviews_sql import SqlReviews
from inference.shadow_sql import SqlShadow
from inference.study_search_sql import SqlStudySearch
from inference.triggers import Triggers
from inference.ups.data_set import Access
from inference.ups.steps_sql import SqlProcedureSteps
from inference.workitems_sql import SqlWorkItems
from isocenter import migrations
from isocenter.changes_sql import SqlAllChanges
from isocenter.model_rules import ModelRules
from isocenter.part import TimeLimit
from isocenter.parts_sql import SqlParts
from isocenter.routing.errands_sql import SqlErrands
from isocenter.routing.queue_sql import SqlShipments
from isocenter.settings import Settings, SettingsError
from models.catalog import PACKAGED, Catalog
from storage.archive import Archive
from storage.blobs.disk import DiskBlobs
from storage.deletions import expire
from storage.ports import Blobs
from storage.spool import Spool
from storage.sql.availability import SqlAvailability
from storage.sql.commitments import SqlCommitments
from storage.sql.engine import connect
from storage.sql.index import SqlIndex
from storage.sql.performed_steps import SqlPerformedSteps
from storage.sql.scheduled_steps import SqlWorklist

if TYPE_CHECKING:
    from inference.pipeline import Pipeline
    from inference.replay import Replay
    from inference.signing import Signing

DICOMWEB = "/dicom-web"
"""Path of the DICOMweb root."""


_NOTICES_KEPT = timedelta(days=90)
"""What others said they have is listed so long."""
FOLLOWED_AT_ONCE = 20
"""So many batches of events are read before other work has its turn again."""


@dataclass(frozen=True, slots=True)
class Services:
    """What the commands work with."""

    settings: Settings
    blobs: Blobs
    index: SqlIndex
    archive: Archive
    spool: Spool
    work: SqlWorkItems
    steps: SqlProcedureSteps
    findings: SqlFindings
    reviews: Reviews
    commitments: SqlCommitments
    overview: SqlOverview
    changes: SqlAllChanges
    study_search: SqlStudySearch
    catalog: GovernedModels
    decisions: SqlDecisions
    history: SqlReviews
    quality: SqlQuality
    shadow: SqlShadow
    worklist: SqlWorklist
    shipments: SqlShipments
    prefetches: SqlErrands
    notices: SqlErrands
    availability: SqlAvailability
    performed: SqlPerformedSteps
    parts: SqlParts

    def orders(self) -> Orders:
        """What starts models by hand."""
        return Orders(self.archive, self.work, self.catalog)

    def rules(self) -> ModelRules:
        """When models run on what arrives."""
        return ModelRules(self.settings.inference.rules)

    def triggers(self) -> Triggers:
        """What turns arrivals into work items."""
        inference = self.settings.inference
        return Triggers(
            self.archive,
            self.work,
            self.catalog,
            settle=inference.settle_seconds,
            quiet=inference.quiet_seconds,
            performed=self.performed,
            shadows=self.catalog.shadows,
            rules=self.rules(),
        )

    def signing(self) -> "Signing":
        """What makes a verified report of what was judged."""
        from inference.signing import Signing  # noqa: PLC0415 - reports need pydicom and numpy, slow to import

        organization = self.settings.reviews.organization
        return Signing(self.archive, self.spool, self.reviews, self.history, organization=organization)

    def upkeep(self) -> None:
        """What is to be done from time to time.

        Remove what was deleted and nobody wants back, and reports that nobody has fetched; take in what
        people said elsewhere, and new result objects for the figures of quality; pause models that fell under
        their floor.
        """
        from inference.following import ReportFollower  # noqa: PLC0415 - as in `signing`
        from inference.outside_reviews import OutsideReviews  # noqa: PLC0415

        expire(self.blobs, self.index)
        self.steps.reports.prune(datetime.now(UTC))
        self.availability.forget(datetime.now(UTC) - _NOTICES_KEPT)
        followers = (
            OutsideReviews(self.archive, self.work.arrivals, self.findings, self.history),
            ReportFollower(self.archive, self.work, self.quality),
        )
        for follower in followers:
            for _ in range(FOLLOWED_AT_ONCE):
                if not follower.poll():
                    break
        pause_below(floors_of(self.catalog, self.decisions), self.quality, self.decisions)

    def comparison(self, name: str, since: datetime | None = None) -> Comparison:
        """How the version of a model that is in shadow differs from the one that runs.

        Raises:
            CardError: no version of it is in shadow.
            ModelStopped: it does not run.
        """
        current, shadow = self.catalog.get(name).version, self.catalog.in_shadow(name).version
        return compare(name, current, shadow, self.shadow.pairs(name, current, shadow, since))

    def replay(self) -> "Replay":
        """What explains results and makes them again."""
        from inference.replay import Replay  # noqa: PLC0415 - as in `signing`

        return Replay(self.archive, self.work, self.catalog.catalog, self.reviews)

    def pipeline(self) -> "Pipeline":
        """What runs a work item, with the models loaded, so that the first study does not wait for them."""
        from inference.pipeline import Pipeline  # noqa: PLC0415 - as in `signing`
        from inference.summaries.make import Summaries  # noqa: PLC0415
        from models.runtime import Runtime  # noqa: PLC0415

        inference = self.settings.inference
        pipeline = Pipeline(
            self.archive,
            self.spool,
            self.work,
            self.catalog,
            Runtime(
                threads=inference.threads,
                timeout_s=inference.timeout_seconds,
                max_sessions=inference.max_sessions,
                max_memory=inference.max_memory_mb << 20,
            ),
            lease_seconds=inference.lease_seconds,
            max_attempts=inference.max_attempts,
            shadows=self.catalog.shadows,
            limit=TimeLimit(inference.item_seconds),
            room=inference.room_mb << 20,
            summarize=Summaries(self.archive, inference.summaries),
        )
        pipeline.warm_up()
        return pipeline


def blobs_for(settings: Settings) -> Blobs:
    """The blob store of the settings."""
    s3 = settings.storage.s3
    if settings.storage.blobs == "disk" or s3 is None:
        return DiskBlobs(settings.objects_dir)
    from storage.blobs.s3 import S3Blobs  # noqa: PLC0415 - a quarter of a second to import, for S3 alone
    from storage.blobs.s3_client import s3_client  # noqa: PLC0415

    secret = s3.secret_key.get_secret_value()
    return S3Blobs(s3_client(s3.endpoint, s3.access_key, secret, region=s3.region, tls=s3.tls), s3.bucket)


def access_of(settings: Settings) -> Access:
    """Where others get the images of procedure steps."""
    web = settings.web.base_url
    return Access(settings.node.aet, f"{web.rstrip('/')}{DICOMWEB}" if web else "")


def catalog_for(settings: Settings) -> Catalog:
    """The models that come with Isocenter, those of the settings, and those that were added."""
    return Catalog((PACKAGED, *settings.inference.models, settings.models_dir))


def resources_of(settings: Settings) -> tuple[str, ...]:
    """What the workers of this machine have, so that they take the work that asks for it."""
    from models.sessions import has_graphics_card  # noqa: PLC0415

    return settings.inference.resources or (("cpu", "gpu") if has_graphics_card() else ("cpu",))


@contextmanager
def open_services(settings: Settings) -> Iterator[Services]:
    """Everything opened; closed again at the end.

    Raises:
        SettingsError: the database is not at this version's schema.
        StorageError: the blob store or the database does not answer.
    """
    settings.data.mkdir(parents=True, exist_ok=True)
    engine = connect(settings.index_url)
    try:
        if engine.dialect.name == "sqlite":
            migrations.upgrade(engine)
        elif not migrations.is_current(engine):
            raise SettingsError("the database schema is of another version: run `isocenter migrate`")
        blobs, index = blobs_for(settings), SqlIndex(engine, settings.index.search_seconds)
        decisions = SqlDecisions(engine)
        undo = timedelta(hours=settings.web.delete_undo_hours)
        archive = Archive(blobs, index, duplicates=settings.storage.duplicates, undo=undo)
        findings = SqlFindings(engine)
        history = SqlReviews(engine)
        reviews = Reviews(archive, findings, history)
        reserve = settings.storage.spool_reserve_mb << 20
        with closing(Spool(settings.spool_dir, reserve=reserve)) as spool, closing(archive):
            archive.recover(spool)
            yield Services(
                settings=settings,
                blobs=blobs,
                index=index,
                archive=archive,
                spool=spool,
                work=SqlWorkItems(engine),
                findings=findings,
                commitments=SqlCommitments(engine),
                overview=SqlOverview(engine),
                changes=SqlAllChanges(engine),
                study_search=SqlStudySearch(engine),
                steps=SqlProcedureSteps(engine, archive, access_of(settings)),
                catalog=GovernedModels(catalog_for(settings), decisions, settings.inference.disabled_models),
                decisions=decisions,
                reviews=reviews,
                history=history,
                quality=SqlQuality(engine),
                shadow=SqlShadow(engine),
                worklist=SqlWorklist(engine),
                shipments=SqlShipments(engine),
                prefetches=SqlErrands(engine, "prefetch"),
                notices=SqlErrands(engine, "notice"),
                availability=SqlAvailability(engine),
                performed=SqlPerformedSteps(engine),
                parts=SqlParts(engine),
            )
    finally:
        engine.dispose()
