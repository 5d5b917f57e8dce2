"""Where blobs and rows disagree, and how they come to agree again.

A blob without a row is what a crash leaves between the two, or what a lost index does not know any more.
Nobody can tell which, so it is taken into the index and never thrown away. A row without a blob is lost data,
and is reported.
"""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from storage.errors import StorageDown
from storage.places import NON_PATIENT, STUDIES, non_patient_place, place_of
from storage.ports import Blobs, BlobStat
from storage.reindex import Reindexed, reindex_blobs, reindex_non_patient
from storage.spool import Spool
from storage.sql.index import SqlIndex

_log = logging.getLogger(__name__)
_REMOVALS = 500
_GRACE_S = 3600.0


def remove_orphan(blobs: Blobs, index: SqlIndex, blob: str) -> None:
    """Remove a blob of ours that got no row; nothing happens when a row uses it."""
    if index.claim_orphan(blob):
        blobs.delete(blob)
        index.confirm_removals([blob])


def finish_removals(blobs: Blobs, index: SqlIndex) -> int:
    """Remove the blobs whose rows are gone, once they are due; how many there were. Raises `StorageDown`."""
    done = 0
    while waiting := index.pending_removals(_REMOVALS):
        for blob in waiting:
            blobs.delete(blob)
        index.confirm_removals(waiting)
        done += len(waiting)
    for tombstone in index.spent_tombstones():
        blobs.delete(tombstone.blob)
        index.forget_tombstone(tombstone.id)
    return done


def try_to_finish_removals(blobs: Blobs, index: SqlIndex) -> None:
    """As `finish_removals`, when a later sweep will do as well."""
    try:
        finish_removals(blobs, index)
    except StorageDown as error:
        _log.warning("blobs of deleted instances stay until the next sweep: %s", error)


@dataclass(frozen=True, slots=True)
class Difference:
    """Where blobs and rows disagree, by names of blobs."""

    without_row: tuple[BlobStat, ...]
    """Older than the grace time: younger ones may be on their way."""
    without_blob: tuple[str, ...]
    foreign: tuple[str, ...]
    """Below `studies/`, but with no name of ours."""


def compare(blobs: Blobs, index: SqlIndex, grace: float = _GRACE_S) -> Difference:
    """List all blobs and compare them with the index, study by study.

    Args:
        blobs: where the bytes are.
        index: what is known of them.
        grace: seconds within which a blob need not have a row yet.
    """
    without_row: list[BlobStat] = []
    without_blob: list[str] = []
    foreign: list[str] = []
    seen: set[str] = set()
    newest = time.time() - grace
    for study, group in groupby(blobs.list(STUDIES), lambda found: found.name.split("/")[1]):
        seen.add(study)
        there = {found.name: found for found in group}
        known = index.blobs_of_study(study)
        without_blob += _still_missing(blobs, index, study, known - there.keys())
        strange = there.keys() - known
        # What was deleted and can be brought back has no row on purpose.
        for name in sorted(strange - index.unremoved(sorted(strange))):
            if place_of(name) is None:
                foreign.append(name)
            elif there[name].modified <= newest:
                without_row.append(there[name])
    without_blob += _of_unseen_studies(blobs, index, seen)
    without_blob += _non_patient_without_blob(blobs, index)
    return Difference(tuple(without_row), tuple(without_blob), tuple(foreign))


def _of_unseen_studies(blobs: Blobs, index: SqlIndex, seen: set[str]) -> Iterator[str]:
    for study in index.study_uids():
        if study not in seen:
            yield from _still_missing(blobs, index, study, index.blobs_of_study(study))


def _still_missing(blobs: Blobs, index: SqlIndex, study: str, names: set[str]) -> list[str]:
    """Those of `names` that are missing now too; they may have come or gone since they were listed."""
    missing = [name for name in sorted(names) if blobs.stat(name) is None]
    return [name for name in missing if name in index.blobs_of_study(study)] if missing else []


def _non_patient_without_blob(blobs: Blobs, index: SqlIndex) -> list[str]:
    # Rows first: what is stored meanwhile has its blob before its row.
    names = {non_patient_place(sop) for sop in index.non_patient_sops()}
    return sorted(names - {found.name for found in blobs.list(NON_PATIENT)}) if names else []


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep found and did."""

    removed: int
    """Blobs whose removal was still waiting."""
    adopted: Reindexed
    """Blobs without a row that were taken into the index."""
    difference: Difference


def sweep(blobs: Blobs, index: SqlIndex, spool: Spool, grace: float = _GRACE_S) -> Swept:
    """Finish removals, then take blobs without a row into the index; what is lost is in `difference`.

    Raises:
        StorageDown, StorageFull: it could not be finished; run it again.
    """
    removed = finish_removals(blobs, index)
    difference = compare(blobs, index, grace)
    for blob in difference.without_blob:
        _log.error("lost: the index has a row for %s, and there is no such blob", blob)
    adopted = reindex_blobs(blobs, index, spool, difference.without_row)
    adopted += replace(reindex_non_patient(blobs, index, spool), known=0)
    return Swept(removed, adopted, difference)
