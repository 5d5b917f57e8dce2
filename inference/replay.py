"""Where a result came from, and whether the same comes out again."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

from pydicom import Dataset, dcmread

from inference.analyse import analyse
from inference.inputs import InputImages, are_all_there, stored_images
from inference.records import FindingRecord
from inference.results.context import Report, ResultContext
from inference.results.reading import algorithm_parameters, is_report, predecessors, read_findings
from inference.results.sources import source_images
from inference.results.write import ResultObjects, result_objects
from inference.reviewing import Reviews
from inference.workitems import UnknownWorkItem, WorkItem
from inference.workitems_sql import SqlWorkItems
from models.card import Card
from models.runtime import Runtime
from storage.archive import Archive
from storage.errors import InvalidQuery, UnknownInstance
from storage.instances import StoredInstance


class Packages(Protocol):
    """Every model package that is there."""

    def versions(self) -> Sequence[Card]: ...


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a report came from."""

    report: StoredInstance
    item: WorkItem
    inputs: tuple[InputImages, ...]
    """What is still stored of them."""
    missing: tuple[str, ...]
    """SOP Instance UIDs of those that are not."""
    intact: bool
    """They are all there, with the very bytes that were read."""
    findings: tuple[FindingRecord, ...]
    parameters: tuple[str, ...]
    """What told this run from others: digests, runtime, provider (PS3.16 TID 4019)."""
    card: Card | None
    """The very card and model, when they are still there."""


class Replay:
    """Explains results and makes them again.

    Args:
        archive: where results and images are.
        work: the work list.
        packages: the models.
        reviews: what people say of the findings.
    """

    def __init__(self, archive: Archive, work: SqlWorkItems, packages: Packages, reviews: Reviews) -> None:
        self._archive = archive
        self._work = work
        self._packages = packages
        self._reviews = reviews

    def provenance(self, result: str) -> Provenance:
        """Where a report came from.

        Args:
            result: SOP Instance UID of a report that a model made.

        Raises:
            UnknownInstance: there is none.
            InvalidQuery: it is something else, or its work item is not known here.
        """
        stored = self._archive.instance(result)
        sr = self._read(stored)
        if not is_report(sr):
            raise InvalidQuery(f"{result} is not the report of a model")
        findings = read_findings(sr)
        try:
            item = self._work.get(findings[0].work_item)
            wanted = self._work.inputs(item.uid)
        except UnknownWorkItem as error:
            raise InvalidQuery(f"{error}: the work list does not know what {result} was made from") from None
        there = tuple(stored_images(self._archive, wanted))
        stored_sops = {instance.key.sop for each in there for instance in each.instances}
        return Provenance(
            stored,
            item,
            there,
            tuple(sorted(set(wanted.sops) - stored_sops)),
            are_all_there(there, wanted),
            tuple(findings),
            algorithm_parameters(sr),
            self._card(item),
        )

    def explained(self, result: str) -> dict[str, Any]:
        """`provenance` and the reviews as values that `json.dumps` takes; raises as that does."""
        origin = self.provenance(result)
        item = origin.item
        said = self._reviews.of_study(item.study).findings
        ours = {finding.tracking_uid for finding in origin.findings}
        return {
            "report": {"sop": result, "digest": origin.report.digest, "stored_at": origin.report.stored_at},
            "work_item": item.as_json(),
            "inputs": [row for each in origin.inputs for row in _rows(each)],
            "inputs_missing": list(origin.missing),
            "inputs_intact": origin.intact,
            "parameters": list(origin.parameters),
            "card": str(origin.card.folder) if origin.card else None,
            "findings": [finding.as_json() for finding in origin.findings],
            "reviews": [
                {
                    "finding": each.record.key,
                    "verdict": each.review.verdict.value,
                    "by": each.review.reviewer.name,
                    "at": each.review.at,
                    "comment": each.review.comment,
                    "signed": each.signed,
                }
                for each in said
                if each.review and each.record.tracking_uid in ours
            ],
        }

    def differences(self, result: str, runtime: Runtime) -> list[str]:
        """What differs when the model is run again; nothing is stored, and an empty list says equal.

        Raises:
            InvalidQuery: the very images or the very model are no longer there, or as `provenance`.
            ModelError: the model cannot be run.
        """
        origin = self.provenance(result)
        if not origin.intact:
            raise InvalidQuery("images were deleted or replaced since")
        if origin.card is None:
            raise InvalidQuery(
                f"{origin.item.model.name} {origin.item.model.version} is no longer there as it was then"
            )
        analysis = analyse(origin.card, self._archive, runtime, origin.inputs)
        if analysis.refusal is not None:
            return [f"the model refuses now: {analysis.refusal}"]
        images = source_images(self._archive.headers(analysis.sources))
        objects = result_objects(analysis, images, self._context(origin))
        return [*_different(origin.findings, objects), *self._bytes(objects)]

    def _context(self, origin: Provenance) -> ResultContext:
        before = next(predecessors(self._read(origin.report)), None)
        try:
            key = self._archive.instance(before).key if before else None
        except UnknownInstance:
            key = None
        report = Report(key.study, key.series, key.sop) if key else None
        return ResultContext(origin.item.uid, origin.item.created_at, report)

    def _bytes(self, objects: ResultObjects) -> list[str]:
        """Which of the files are not the stored ones, byte for byte."""
        told = []
        for sop, data in zip(objects.uids, reversed(objects.files), strict=True):
            try:
                with self._archive.open(self._archive.instance(sop)) as file:
                    equal = file.read() == data
            except UnknownInstance:
                told.append(f"object {sop} is not stored any more")
                continue
            if not equal:
                told.append(f"object {sop} has other bytes")
        return told

    def _read(self, stored: StoredInstance) -> Dataset:
        with self._archive.open(stored) as file:
            return dcmread(file)

    def _card(self, item: WorkItem) -> Card | None:
        wanted = (item.model.name, item.model.digest, item.model.card_digest)
        cards = self._packages.versions()
        return next((c for c in cards if (c.name, c.model.sha256, c.digest) == wanted), None)


def _rows(images: InputImages) -> list[dict[str, str]]:
    """Which input got which images; the first input has no name."""
    name = {"input": images.name} if images.name else {}
    return [
        {**name, "series": each.key.series, "sop": each.key.sop, "digest": each.digest}
        for each in images.instances
    ]


def _different(before: Sequence[FindingRecord], objects: ResultObjects) -> list[str]:
    then, now = ({each.key: each for each in some} for some in (before, objects.records))
    told = [f"finding {key!r} is gone" for key in then.keys() - now.keys()]
    told += [f"finding {key!r} is new" for key in now.keys() - then.keys()]
    for key in then.keys() & now.keys():
        for each in fields(FindingRecord):
            was, is_ = getattr(then[key], each.name), getattr(now[key], each.name)
            if was != is_:
                told.append(f"finding {key!r}: {each.name} was {was}, is {is_}")
    return sorted(told)
