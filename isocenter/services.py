"""The chosen implementations, put together: reading `open_services` tells what runs where."""

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import models
from inference.findings_sql import SqlFindings
from inference.pipeline import Pipeline
from inference.triggers import Triggers
from inference.workitems_sql import SqlWorkItems
from isocenter import migrations
from isocenter.settings import Settings, SettingsError
from models.catalog import Catalog
from models.runtime import Runtime
from storage.archive import Archive
from storage.blobs.disk import DiskBlobs
from storage.blobs.s3 import S3Blobs, s3_client
from storage.ports import Blobs
from storage.spool import Spool
from storage.sql.engine import connect
from storage.sql.index import SqlIndex

log = logging.getLogger(__name__)

PACKAGED_MODELS = Path(models.__file__).parent / "cards"


@dataclass(frozen=True, slots=True)
class Services:
    """What the commands work with."""

    settings: Settings
    archive: Archive
    spool: Spool
    work: SqlWorkItems
    findings: SqlFindings
    catalog: Catalog

    def triggers(self) -> Triggers:
        """What turns arrivals into work items."""
        inference = self.settings.inference
        return Triggers(
            self.archive,
            self.work,
            self.catalog,
            settle=inference.settle_seconds,
            quiet=inference.quiet_seconds,
        )

    def pipeline(self) -> Pipeline:
        """What runs a work item; keeps its model sessions loaded."""
        inference = self.settings.inference
        runtime = Runtime(threads=inference.threads)
        return Pipeline(
            self.archive,
            self.spool,
            self.work,
            self.catalog,
            runtime,
            lease_seconds=inference.lease_seconds,
            max_attempts=inference.max_attempts,
        )


def blobs_for(settings: Settings) -> Blobs:
    """The blob store of the settings."""
    if (s3 := settings.storage.s3) and settings.storage.blobs == "s3":
        client = s3_client(
            s3.endpoint, s3.access_key, s3.secret_key.get_secret_value(), region=s3.region, tls=s3.tls
        )
        return S3Blobs(client, bucket=s3.bucket)
    return DiskBlobs(settings.objects_dir)


def catalog_for(settings: Settings) -> Catalog:
    """The models that come with Isocenter, then those of the settings, without the disabled ones."""
    return Catalog((PACKAGED_MODELS, *settings.inference.models), disabled=settings.inference.disabled_models)


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
        archive = Archive(blobs_for(settings), SqlIndex(engine), duplicates=settings.storage.duplicates)
        with closing(archive), closing(Spool(settings.spool_dir)) as spool:
            yield Services(
                settings, archive, spool, SqlWorkItems(engine), SqlFindings(engine), catalog_for(settings)
            )
    finally:
        engine.dispose()
