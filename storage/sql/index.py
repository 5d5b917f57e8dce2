"""What is stored, as rows: the questions the archive asks, each in its own connection or transaction."""

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Engine, exc, select

from storage.errors import InvalidInstance
from storage.events import Event
from storage.header import ObjectHeader
from storage.instances import Contents, InstanceKey, NonPatientInstance, Origin, StoredInstance
from storage.layout import Layout
from storage.refusals import Quarantined
from storage.rejection import Rejection
from storage.search import Page, Query
from storage.senders import Senders
from storage.sql import (
    adding,
    events,
    non_patient,
    refusals,
    rejections,
    removing,
    search,
    senders,
    stored,
    tombstones,
)
from storage.sql.adding import Added, Burnt, Known, Result
from storage.sql.engine import reading, settle, writing
from storage.sql.limits import limited
from storage.sql.packing import unpack
from storage.sql.paging import Anchors
from storage.sql.rows import Entry
from storage.sql.tables import studies
from storage.sql.writer import Writer
from storage.tombstones import Tombstone

_log = logging.getLogger(__name__)
_VALUES = (exc.DataError, UnicodeEncodeError, OverflowError)

__all__ = ["Added", "Burnt", "Entry", "Known", "Result", "SqlIndex"]


class SqlIndex:
    """The index over an engine from `storage.sql.engine.connect`, with the tables of `storage.sql.tables`.

    Every method raises `StorageDown` when the database does not answer and `StorageFull` when it has no room.
    """

    def __init__(self, engine: Engine, search_seconds: float = 20) -> None:
        """Over `engine`; a search that takes the database longer than `search_seconds` is stopped."""
        self._engine = engine
        self._search_seconds = search_seconds
        self._anchors = Anchors()
        self._writer = Writer(engine)

    def add(self, entries: Sequence[Entry]) -> list[Result | Exception]:
        """Make rows of `entries` in one transaction; one that cannot be a row does not hinder the others.

        An exception in place of a result is an `InvalidInstance`, or what nobody expected. Where none of them
        is `settled`, the rows may wait for `settle` to become durable.
        """
        if len({entry.key.sop for entry in entries}) < len(entries):
            return self._add_each(entries)
        try:
            settled = any(entry.settled for entry in entries)
            with self._writer.writing(settled=settled) as connection:
                return [*adding.add(connection, entries)]
        except _VALUES as error:
            if len(entries) > 1:
                return self._add_each(entries)
            _log.warning("no row for %s: %s", entries[0].key.sop, error)
            return [InvalidInstance("one of its values is beyond what the index can hold")]
        except exc.DBAPIError as error:
            return self._add_each(entries) if len(entries) > 1 else [error]

    def _add_each(self, entries: Sequence[Entry]) -> list[Result | Exception]:
        return [result for entry in entries for result in self.add([entry])]

    def settle(self) -> None:
        """Make durable what was added unsettled."""
        settle(self._engine)

    def instance(self, sop: str) -> StoredInstance | None:
        with reading(self._engine) as connection:
            return stored.by_sop(connection, [sop]).get(sop)

    def instances(
        self, study: str, series: str | None, sop: str | None, *, rejected: bool = False
    ) -> list[StoredInstance]:
        """`rejected`: those that notes reject, too."""
        with reading(self._engine) as connection:
            found = stored.in_series(connection, study, series, sop)
            return found if rejected else rejections.without(connection, found)

    def rejected(self, sops: Sequence[str]) -> set[str]:
        """Those of these SOP Instance UIDs that are rejected."""
        with reading(self._engine) as connection:
            return rejections.hidden(connection, sops)

    def rejections(self, limit: int = 1000, note: str | None = None) -> list[Rejection]:
        """The rejection notes in force; with `note`, a SOP Instance UID, that one if it is."""
        with reading(self._engine) as connection:
            return rejections.listed(connection, limit, note)

    def contents(self, study: str, series: str | None, sop: str | None) -> Contents:
        with reading(self._engine) as connection:
            return stored.contents(connection, study, series, sop)

    def versions(self, sop: str) -> list[StoredInstance]:
        with reading(self._engine) as connection:
            return stored.versions(connection, sop)

    def headers(self, instances: Sequence[StoredInstance]) -> dict[tuple[str, int], bytes]:
        """The packed headers by SOP Instance UID and version."""
        with reading(self._engine) as connection:
            return stored.packed_headers(connection, instances)

    def layout(self, instance: StoredInstance) -> tuple[Layout, int] | None:
        """The layout, and the offset of the data set in the file."""
        with reading(self._engine) as connection:
            found = stored.packed_layout(connection, instance)
        return found and (Layout.from_bytes(unpack(found[0])), found[1])

    def search(self, query: Query) -> Page:
        """Raises `InvalidQuery` and `QueryTooBroad` too."""
        with reading(self._engine) as connection, limited(connection, self._search_seconds):
            return search.run(connection, query, self._anchors)

    def end_delivery(self, delivery: str, origin: Origin, series: Sequence[tuple[str, str]]) -> None:
        """Write that a delivery has ended, for each Study and Series Instance UID it touched."""
        rows = [events.values("delivery.ended", (*uids, None), delivery, origin) for uids in series]
        with writing(self._engine) as connection:
            events.write(connection, rows)

    def events(self, after: str | None, limit: int) -> list[Event]:
        """Raises `InvalidQuery` when `after` is no cursor."""
        with reading(self._engine) as connection:
            return events.read(connection, after, limit)

    def last_cursor(self) -> str:
        """Behind the last event that is final."""
        with reading(self._engine) as connection:
            return events.last_cursor(connection)

    def skip_event_numbers(self) -> None:
        """Number later events as if some had been lost: who has seen those misses none of the new ones."""
        with writing(self._engine) as connection:
            events.skip_numbers(connection)

    def note_refusal(
        self, reason: str, origin: Origin, size: int, kept: tuple[str, ObjectHeader] | None = None
    ) -> None:
        """Add a refusal to the list; `kept` is the blob that keeps the bytes, and what they say."""
        with writing(self._engine) as connection:
            refusals.note(connection, reason, origin, size, kept)

    def knows_refusal(self, blob: str) -> bool:
        """The list of refusals has this blob."""
        with reading(self._engine) as connection:
            return refusals.is_listed(connection, blob)

    def refusals(self, limit: int, study: str | None) -> list[Quarantined]:
        with reading(self._engine) as connection:
            return refusals.listed(connection, limit, study)

    def remove(
        self,
        study: str,
        series: str | None,
        sop: str | None,
        origin: Origin,
        tombstone: Tombstone | None = None,
    ) -> list[StoredInstance]:
        """Remove rows; their blobs become `pending_removals`, with a tombstone when that is due."""
        with writing(self._engine, alone=True) as connection:
            gone, names = removing.remove(connection, study, series, sop, origin)
            if gone and tombstone:
                waits = replace(tombstone, instances=len(gone), blobs=tuple(names))
                tombstones.add(connection, waits)
            return gone

    def tombstones(self) -> list[Tombstone]:
        """The deletions that wait, the latest first, without their blobs."""
        with reading(self._engine) as connection:
            return tombstones.listed(connection)

    def unwritten_tombstones(self) -> list[Tombstone]:
        """Those without a blob beside the objects."""
        with reading(self._engine) as connection:
            return tombstones.unwritten(connection)

    def confirm_tombstone(self, identifier: str) -> None:
        """It has a blob beside the objects."""
        with writing(self._engine) as connection:
            tombstones.written(connection, identifier)

    def restore_tombstone(self, tombstone: Tombstone) -> None:
        """List a deletion that was found beside the objects; harmless when it is listed."""
        with writing(self._engine, alone=True) as connection:
            tombstones.add(connection, tombstone, written=True)

    def spent_tombstones(self) -> list[Tombstone]:
        """Those all of whose blobs are gone."""
        with reading(self._engine) as connection:
            return tombstones.spent(connection)

    def forget_tombstone(self, identifier: str) -> None:
        """There is nothing left to bring back."""
        with writing(self._engine) as connection:
            tombstones.remove(connection, identifier)

    def take_back(self, identifier: str) -> list[str] | None:
        """Forget a deletion that is not due; its blobs, which have no rows yet. None when it is too late."""
        with writing(self._engine, alone=True) as connection:
            names = tombstones.waiting(connection, identifier)
            if names is not None:
                tombstones.remove(connection, identifier, names)
            return names

    def unremoved(self, blobs: Sequence[str]) -> set[str]:
        """Those of `blobs` that are to be removed, now or later."""
        with reading(self._engine) as connection:
            return removing.unremoved(connection, blobs)

    def was_removed_since(self, key: InstanceKey, moment: datetime) -> bool:
        """A version of this instance was removed after `moment`, which is not long ago."""
        with reading(self._engine) as connection:
            return removing.was_removed_since(connection, key, moment)

    def claim_orphan(self, blob: str) -> bool:
        """Ask for the removal of a blob; False when a row uses it."""
        with writing(self._engine, alone=True) as connection:
            return removing.claim_orphan(connection, blob)

    def pending_removals(self, limit: int) -> list[str]:
        with reading(self._engine) as connection:
            return removing.pending(connection, limit)

    def confirm_removals(self, blobs: Sequence[str]) -> None:
        with writing(self._engine) as connection:
            removing.confirm(connection, blobs)

    def study_uids(self) -> Iterator[str]:
        """Every Study Instance UID, in no order, a few thousand in memory at a time."""
        last = 0
        query = select(studies.c.id, studies.c.study_uid).order_by(studies.c.id).limit(5000)
        while True:
            with reading(self._engine) as connection:
                rows = connection.execute(query.where(studies.c.id > last)).all()
            if not rows:
                return
            yield from (row.study_uid for row in rows)
            last = rows[-1].id

    def counts(self) -> dict[str, int]:
        """How many studies, series and instances (the versions served) there are."""
        with reading(self._engine) as connection:
            return stored.counts(connection)

    def size(self) -> int:
        """Bytes of all instances, in the versions served."""
        with reading(self._engine) as connection:
            return stored.size(connection)

    def senders(self, now: datetime) -> Senders:
        """Who sent what in the day before `now`."""
        with reading(self._engine) as connection:
            return senders.senders(connection, now)

    def health(self) -> None:
        with reading(self._engine) as connection:
            connection.execute(select(studies.c.id).limit(1)).all()

    def blobs_of_study(self, study: str) -> set[str]:
        """The blobs of all versions of a study's instances."""
        with reading(self._engine) as connection:
            return stored.blobs_of_study(connection, study)

    def add_non_patient(self, header: ObjectHeader, stored_at: datetime) -> NonPatientInstance:
        """Make a row of an instance of no patient, or answer the one that has its SOP Instance UID."""
        with writing(self._engine) as connection:
            return non_patient.add(connection, header, stored_at)

    def non_patient(self, sop: str) -> NonPatientInstance | None:
        with reading(self._engine) as connection:
            return non_patient.by_sop(connection, sop)

    def non_patient_header(self, sop: str) -> tuple[bytes, Layout] | None:
        """DICOM JSON, and the layout of the file."""
        with reading(self._engine) as connection:
            return non_patient.header(connection, sop)

    def non_patient_page(
        self, classes: Collection[str], sops: Collection[str] | None, before: int | None, limit: int
    ) -> list[tuple[int, NonPatientInstance, bytes]]:
        """Instances of these SOP classes, the last stored first, with DICOM JSON; see `non_patient.page`."""
        with reading(self._engine) as connection:
            return non_patient.page(connection, classes, sops, before, limit)

    def non_patient_sops(self) -> set[str]:
        with reading(self._engine) as connection:
            return set(non_patient.all_sops(connection))
