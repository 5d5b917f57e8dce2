"""A model tried on files: an archive of its own in a temporary folder, and the real pipeline on it."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from inference.backfill import matching_studies
from inference.pipeline import Pipeline
from inference.records import FindingRecord
from inference.selection import Selection
from inference.summaries.make import Summaries
from inference.triggers import Triggers
from inference.workitems import Outcome, WorkItem
from isocenter.importing import files_below, import_files
from isocenter.services import Services, open_services
from isocenter.settings import Settings
from models.card import Card
from models.errors import CardError
from models.external import ExternalCard
from models.runtime import Runtime
from storage.instances import Origin, Refused
from storage.search import Query


class _OneModel:
    """The model on trial, whatever was decided on it."""

    def __init__(self, card: Card) -> None:
        self.card = card

    def cards(self) -> list[Card]:
        return [self.card]

    def external(self) -> list[ExternalCard]:
        return []

    def get(self, name: str) -> Card:
        if name != self.card.name:
            raise CardError(f"{name!r} is not on trial")
        return self.card


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of it."""

    items: tuple[WorkItem, ...]
    findings: tuple[FindingRecord, ...]
    refused: tuple[tuple[Path, str], ...]
    """Files that are no instances, with the reason."""
    missing: tuple[str, ...]
    """What the model needs beside series that are for its first input, where it could not be run."""
    services: Services

    @property
    def ran(self) -> bool:
        """There was something to run on, and each run came to a result."""
        return bool(self.items) and all(item.outcome is Outcome.RESULTS for item in self.items)

    def as_json(self) -> dict[str, object]:
        """Everything as values that `json.dumps` takes."""
        return {
            "work": [item.as_json() for item in self.items],
            "findings": [finding.as_json() for finding in self.findings],
            "missing": list(self.missing),
            "refused": [{"file": str(path), "reason": reason} for path, reason in self.refused],
        }

    def write(self, folder: Path) -> None:
        """Write the result objects as Part 10 files, named by their SOP Instance UIDs."""
        folder.mkdir(parents=True, exist_ok=True)
        for sop in (sop for item in self.items for sop in item.results):
            stored = self.services.archive.instance(sop)
            with (folder / f"{sop}.dcm").open("wb") as file:
                for chunk in self.services.archive.stream(stored):
                    file.write(chunk)


class Trial:
    """Runs one model on files; what it stores meanwhile is gone with `close`."""

    def __init__(self, card: Card, settings: Settings) -> None:
        self._settings = settings
        self._models = _OneModel(card)
        self._stack = ExitStack()
        folder = self._stack.enter_context(TemporaryDirectory(prefix="isocenter-trial-"))
        self._services = self._stack.enter_context(open_services(Settings(data=Path(folder))))

    def close(self) -> None:
        """Delete everything."""
        self._stack.close()

    def run(self, paths: Sequence[Path]) -> Tried:
        """Take in the files among `paths` and in folders among them, and run the model on what it is for."""
        services = self._services
        with services.archive.delivery(Origin("import", peer="trial")) as delivery:
            outcomes = list(import_files(files_below(paths), services.spool, delivery))
        refused = ((path, str(outcome.error)) for path, outcome in outcomes if isinstance(outcome, Refused))
        items = self._worked()
        studies = dict.fromkeys(item.study for item in items)
        findings = (finding for study in studies for finding in services.findings.of_study(study))
        return Tried(tuple(items), tuple(findings), tuple(refused), self._missing(), services)

    def _missing(self) -> tuple[str, ...]:
        selection = Selection(self._services.archive)
        for study in matching_studies(self._services.archive, Query("study")):
            selection.in_study(self._models.card, study)
        return tuple(dict.fromkeys(selection.reasons))

    def _worked(self) -> list[WorkItem]:
        services, inference = self._services, self._settings.inference
        triggers = Triggers(services.archive, services.work, self._models, settle=0, quiet=0)
        pipeline = Pipeline(
            services.archive,
            services.spool,
            services.work,
            self._models,
            Runtime(threads=inference.threads, timeout_s=inference.timeout_seconds),
            max_attempts=1,
            summarize=Summaries(services.archive, inference.summaries),
        )
        return [pipeline.run(uid) for uid in triggers.poll()]
