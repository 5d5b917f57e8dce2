"""Fetches the priors of what has come from another archive, one study after the other."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from dicom_node import scu
from dicom_node.requestor import AssociationFailed
from dicom_node.scu import Remote, Retrieved
from isocenter.routing.priors import PATIENT_ID, STUDY_UID, Wanted, candidates, shows_same_part
from isocenter.routing.subjects import Subjects
from storage.archive import Archive
from storage.errors import UnknownInstance
from storage.instances import Origin, Refused
from storage.pixels.attributes import Attributes, text
from storage.spool import Spool

log = logging.getLogger(__name__)

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


class Prefetcher:
    """Fetches priors by one rule: a `Runner`."""

    def __init__(
        self,
        terms: PrefetchTerms,
        remote: Callable[[], Remote],
        archive: Archive,
        subjects: Subjects,
        spool: Spool,
    ) -> None:
        """Take what is needed.

        Args:
            terms: of the rule.
            remote: the archive that is asked.
            archive: ours.
            subjects: what studies are about.
            spool: where instances wait until they are whole.
        """
        self._terms = terms
        self._remote = remote
        self._archive = archive
        self._subjects = subjects
        self._spool = spool

    def run(self, study: str, go_on: Callable[[], None], stopped: threading.Event) -> int:
        """Fetch the priors of a study; how many studies came."""
        arrived = self._subjects.of_study(study)
        patient = text(arrived or {}, PATIENT_ID)
        if arrived is None or not patient or set(patient) & set("*?\\"):
            return 0  # deleted since, or of nobody, or anybody
        fetched = 0
        for prior in self._priors(arrived, patient):
            go_on()
            self._retrieve(prior)
            fetched += 1
            if stopped.wait(self._terms.pause):
                raise AssociationFailed("stopped before all was fetched")
        return fetched

    def _priors(self, arrived: Attributes, patient: str) -> list[str]:
        remote, wanted = self._remote(), self._terms.wanted
        keys = dict.fromkeys(_STUDY_KEYS, "") | {"PatientID": patient}
        found = list(islice(scu.find(remote, "STUDY", keys), _MOST_ANSWERS))
        chosen = list[str]()
        for each in candidates(wanted, arrived, found, datetime.now(UTC).date()):
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
        if self._terms.move_to:
            _check(study, scu.move(self._remote(), "STUDY", keys, self._terms.move_to))
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
                    log.warning("%s: %s was not stored: %s", self._terms.name, path.stem, outcome.error)


def _check(study: str, ended: Retrieved) -> None:
    if not ended.complete:
        raise AssociationFailed(
            f"study {study}: {ended.failed} failed, status 0x{ended.status:04X} {ended.reason}".rstrip()
        )
