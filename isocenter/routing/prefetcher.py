"""Fetches the priors of what has come from another archive, one study after the other."""

import json
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from dicom_node import scu
from dicom_node.requestor import AssociationFailed
from dicom_node.scu import Remote, Retrieved
from isocenter.routing.backoff import BackOff
from isocenter.routing.prefetch_sql import Prefetch, SqlPrefetches
from isocenter.routing.priors import PATIENT_ID, STUDY_UID, Wanted, candidates, shows_same_part
from storage.archive import Archive
from storage.errors import UnknownInstance
from storage.instances import Origin, Refused
from storage.pixels.attributes import Attributes, text
from storage.spool import Spool

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
_MOST_ANSWERS = 1000
_CHUNK = 1 << 20
_STUDY_KEYS = ("StudyInstanceUID", "StudyDate", "ModalitiesInStudy", "IssuerOfPatientID")


@dataclass(frozen=True, slots=True)
class PrefetchTerms:
    """How a rule fetches."""

    name: str
    wanted: Wanted
    move_to: str
    """AE title that the archive sends to (C-MOVE); empty: it is asked to send on our association (C-GET)."""
    pause: float
    """Seconds between two studies."""
    max_attempts: int


class Prefetcher:
    """Works off the prefetches of one rule."""

    def __init__(
        self,
        terms: PrefetchTerms,
        remote: Callable[[], Remote],
        archive: Archive,
        spool: Spool,
        queue: SqlPrefetches,
        *,
        lease: timedelta,
        first_pause: float = 5,
    ) -> None:
        """Take what is needed.

        Args:
            terms: of the rule.
            remote: the archive that is asked.
            archive: ours.
            spool: where instances wait until they are whole.
            queue: of what is still to be done.
            lease: how long a study may take before another router tries.
            first_pause: seconds after the first failure; it doubles with each that follows.
        """
        self.terms = terms
        self._remote = remote
        self._archive = archive
        self._spool = spool
        self._queue = queue
        self._lease = lease
        self._back_off = BackOff(first_pause)

    def run(self, stopped: threading.Event) -> None:
        """Fetch until stopped; a database that does not answer delays, and ends nothing."""
        troubled = False
        while not stopped.wait(POLL_SECONDS):
            try:
                while not stopped.is_set() and not self._back_off.on_break and self._step(stopped):
                    pass
                troubled = False
            except Exception:
                if not troubled:
                    log.exception("%s: prefetching failed; it goes on later", self.terms.name)
                troubled = True

    def _step(self, stopped: threading.Event) -> bool:
        prefetch = self._queue.take(self.terms.name, _now(), self._lease)
        if prefetch is None:
            return False
        try:
            fetched = self._fetch(prefetch, stopped)
        except AssociationFailed as error:
            self._back_off.did_not_answer()
            self._try_again(prefetch, str(error))
        else:
            self._back_off.answered()
            self._queue.done(prefetch, fetched)
        return True

    def _fetch(self, prefetch: Prefetch, stopped: threading.Event) -> int:
        try:
            first = self._archive.instances(prefetch.study)[0]
            arrived = json.loads(next(self._archive.headers([first])))
        except UnknownInstance:
            return 0  # deleted since
        patient = text(arrived, PATIENT_ID)
        if not patient or set(patient) & set("*?\\"):
            return 0  # nobody, or anybody
        fetched = 0
        for study in self._priors(arrived, patient):
            self._queue.renew(prefetch, _now() + self._lease)
            self._retrieve(study)
            fetched += 1
            if stopped.wait(self.terms.pause):
                raise AssociationFailed("stopped before all was fetched")
        return fetched

    def _priors(self, arrived: Attributes, patient: str) -> list[str]:
        remote, wanted = self._remote(), self.terms.wanted
        keys = dict.fromkeys(_STUDY_KEYS, "") | {"PatientID": patient}
        found = list(islice(scu.find(remote, "STUDY", keys), _MOST_ANSWERS))
        chosen = list[str]()
        for each in candidates(wanted, arrived, found, _now().date()):
            study = text(each, STUDY_UID)
            if len(chosen) == wanted.max_studies:
                break
            if not wanted.same_body_part or shows_same_part(arrived, self._series(remote, study)):
                chosen.append(study)
        return [study for study in chosen if not self._is_here(study)]

    def _series(self, remote: Remote, study: str) -> list[Attributes]:
        keys = {"StudyInstanceUID": study, "SeriesInstanceUID": "", "BodyPartExamined": ""}
        return list(islice(scu.find(remote, "SERIES", keys), _MOST_ANSWERS))

    def _is_here(self, study: str) -> bool:
        try:
            self._archive.contents(study)
        except UnknownInstance:
            return False
        return True

    def _retrieve(self, study: str) -> None:
        keys = {"StudyInstanceUID": study}
        if self.terms.move_to:
            _check(study, scu.move(self._remote(), "STUDY", keys, self.terms.move_to))
            return
        remote = self._remote()
        with TemporaryDirectory(dir=self._spool.folder) as folder:
            ended = scu.get(remote, "STUDY", keys, Path(folder))
            self._take_in(Path(folder), Origin("dimse", remote.called_aet, remote.host))
        _check(study, ended)

    def _take_in(self, folder: Path, origin: Origin) -> None:
        with self._archive.delivery(origin) as delivery:
            for path in sorted(folder.iterdir()):
                file = self._spool.new()
                with path.open("rb") as source:
                    while chunk := source.read(_CHUNK):
                        file.write(chunk)
                outcome = delivery.ingest(file)
                if isinstance(outcome, Refused):
                    log.warning("%s: %s was not stored: %s", self.terms.name, path.stem, outcome.error)

    def _try_again(self, prefetch: Prefetch, reason: str) -> None:
        attempts = prefetch.attempts + 1
        park = attempts >= self.terms.max_attempts
        due_at = _now() + timedelta(seconds=self._back_off.pause(prefetch.attempts))
        then = "it is parked" if park else f"next try at {due_at:%H:%M:%S}"
        log.warning("%s: priors of %s: %s; %s", self.terms.name, prefetch.study, reason, then)
        self._queue.later(prefetch, due_at, reason, park=park)


def _check(study: str, ended: Retrieved) -> None:
    if not ended.complete:
        raise AssociationFailed(
            f"study {study}: {ended.failed} failed, status 0x{ended.status:04X} {ended.reason}".rstrip()
        )


def _now() -> datetime:
    return datetime.now(UTC)
