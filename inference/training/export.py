"""Writes a training set: a folder for each case with images, masks, report and labels, and a manifest."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError

from inference.results.sources import source_image
from inference.results.verified import Judged, verified_report
from inference.reviewing import ReviewedFinding, Reviews
from inference.reviews import InvalidReview, Reviewer, SignedReport
from inference.training.burned_in import burned_in, shows_a_face
from inference.training.cases import Case, anonymous, cases_of, label
from inference.training.deidentify import deidentify, patient_of
from inference.training.profile import CODES
from inference.training.pseudonyms import Pseudonyms
from inference.uids import uid_from
from storage.archive import Archive
from storage.errors import UnknownInstance
from storage.instances import StoredInstance

MANIFEST = "manifest.json"
LABELS = "labels.json"
REPORT = "report.dcm"
FACE = "a face could be made from the images"


@dataclass(slots=True)
class Exported:
    """What an export came to."""

    cases: int = 0
    images: int = 0
    findings: int = 0
    left_out: list[dict[str, str]] = field(default_factory=list)
    """Case, SOP Instance UID (both pseudonyms) and reason."""
    warnings: list[dict[str, str]] = field(default_factory=list)


class TrainingSet:
    """Writes reviewed cases to a folder.

    Args:
        archive: where images and masks are.
        reviews: what people said.
        pseudonyms: what stands for names, UIDs and dates.
        folder: empty, or not there yet.
        doubtful: write pictures too in which writing may name the patient.

    Raises:
        InvalidReview: the folder is not empty.
    """

    def __init__(
        self,
        archive: Archive,
        reviews: Reviews,
        pseudonyms: Pseudonyms,
        folder: Path,
        *,
        doubtful: bool = False,
    ) -> None:
        self._archive = archive
        self._reviews = reviews
        self._pseudonyms = pseudonyms
        self._folder = folder
        self._doubtful = doubtful
        self._written: list[dict[str, Any]] = []
        self.done = Exported()
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise InvalidReview(f"{folder} is not empty: a training set gets a folder of its own")

    def write(
        self,
        studies: Iterable[str],
        model: str | None = None,
        since: datetime | None = None,
        progress: Callable[[Exported], None] = lambda _: None,
    ) -> Exported:
        """Write all cases of `studies` (Study Instance UIDs); see `cases_of`.

        Raises:
            StorageDown: the archive does not answer; what is written has no manifest.
        """
        for study in studies:
            for case in cases_of(self._reviews.of_study(study), model, since):
                self._case(case)
                progress(self.done)
        self._manifest(model, since)
        return self.done

    def _case(self, case: Case) -> None:
        name = self._pseudonyms.name("case", case.series)
        folder = self._folder / name
        headers: dict[str, Dataset] = {}
        patient = ""
        for stored in self._images(case):
            ds = self._read(stored, name)
            if ds is None:
                continue
            patient = patient_of(ds)
            self._image(ds, folder / "images", headers)
        if not headers:
            self.done.left_out.append({"case": name, "uid": "", "reason": "no image of it can be written"})
            return
        for stored in self._masks(case):
            if (ds := self._read(stored, name)) is not None:
                self._image(ds, folder / "masks", headers)
        findings = [
            anonymous(each, number, self._pseudonyms)
            for number, each in enumerate(case.findings, 1)
            if self._is_whole(each, headers)
        ]
        self._labels(folder, name, findings, headers)
        if findings:
            at = max((each.review.at for each in findings if each.review), default=datetime.now(UTC))
            self._report(folder, findings, headers, at - self._pseudonyms.days(patient))
        self.done.cases += 1
        self.done.findings += len(findings)

    def _images(self, case: Case) -> list[StoredInstance]:
        try:
            stored = self._archive.instances(case.study, case.series)
        except UnknownInstance:
            return []
        return [each for each in stored if each.number_of_frames]

    def _masks(self, case: Case) -> Iterator[StoredInstance]:
        for sop in sorted({each.record.segment.sop for each in case.findings if each.record.segment}):
            try:
                yield self._archive.instance(sop)
            except UnknownInstance:
                continue

    def _read(self, stored: StoredInstance, case: str) -> Dataset | None:
        """The data set, unless it cannot be read or its pixels may tell whose it is."""
        try:
            with self._archive.open(stored) as file:
                ds = dcmread(file)
            reason = burned_in(ds)
        except (InvalidDicomError, UnknownInstance, ValueError, EOFError) as error:
            ds, reason = None, f"cannot be read: {type(error).__name__}"
        uid = self._pseudonyms.uid(stored.key.sop)
        if reason and ds is not None and self._doubtful:
            self.done.warnings.append({"case": case, "uid": uid, "reason": reason})
        elif reason:
            self.done.left_out.append({"case": case, "uid": uid, "reason": reason})
            return None
        elif ds is not None and shows_a_face(ds) and not _told(self.done.warnings, case, FACE):
            self.done.warnings.append({"case": case, "uid": "", "reason": FACE})
        return ds

    def _image(self, ds: Dataset, folder: Path, headers: dict[str, Dataset]) -> None:
        deidentify(ds, self._pseudonyms)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{ds.SOPInstanceUID}.dcm"
        ds.save_as(path, enforce_file_format=True)
        self._note(path)
        for keyword in ("PixelData", "FloatPixelData", "DoubleFloatPixelData"):
            ds.pop(keyword, None)
        headers[str(ds.SOPInstanceUID)] = source_image(ds.to_json_dict())
        self.done.images += folder.name == "images"

    def _is_whole(self, finding: ReviewedFinding, headers: dict[str, Dataset]) -> bool:
        """Whether the images that the finding names were written."""
        records = [finding.record]
        if finding.review and finding.review.correction:
            records.append(finding.review.correction.applied(finding.record))
        named = (
            place.sop
            for record in records
            for place in (record.region, record.segment, record.image)
            if place
        )
        return all(self._pseudonyms.uid(sop) in headers for sop in named)

    def _labels(
        self, folder: Path, case: str, findings: Sequence[ReviewedFinding], headers: Mapping[str, Dataset]
    ) -> None:
        first = next(iter(headers.values()))
        text = {
            "case": case,
            "patient": str(first.PatientID),
            "age": first.get("PatientAge"),
            "sex": first.get("PatientSex") or None,
            "study": first.StudyInstanceUID,
            "series": first.SeriesInstanceUID,
            "modality": first.get("Modality"),
            "images": _names(folder / "images"),
            "masks": _names(folder / "masks"),
            "findings": [label(each) for each in findings],
        }
        path = folder / LABELS
        path.write_text(json.dumps(text, indent=2, ensure_ascii=False), encoding="utf-8")
        self._note(path)

    def _report(
        self, folder: Path, findings: Sequence[ReviewedFinding], headers: Mapping[str, Dataset], at: datetime
    ) -> None:
        """The findings as people would have them, as a structured report over the written images."""
        series = findings[0].record.series
        uid = uid_from("training report", series, *(each.record.tracking_uid for each in findings))
        names = sorted({each.review.reviewer.name for each in findings if each.review})
        reviewer = Reviewer(names[0] if names else "nobody")
        report = SignedReport(uid, findings[0].record.study, uid_from("series", uid), reviewer, at, {}, ())
        judged = [Judged(each.record, each.review) for each in findings]
        path = folder / REPORT
        path.write_bytes(verified_report(report, judged, headers, (), "not stated"))
        self._note(path)

    def _note(self, path: Path) -> None:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        name = path.relative_to(self._folder).as_posix()
        self._written.append({"file": name, "bytes": path.stat().st_size, "sha256": digest})

    def _manifest(self, model: str | None, since: datetime | None) -> None:
        text = {
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "by": f"Isocenter {version('isocenter')}",
            "model": model,
            "since": since.isoformat() if since else None,
            "de_identification": [
                {"value": value, "scheme": "DCM", "meaning": text} for value, text in CODES
            ],
            "cases": self.done.cases,
            "images": self.done.images,
            "findings": self.done.findings,
            "left_out": self.done.left_out,
            "warnings": self.done.warnings,
            "files": self._written,
        }
        path = self._folder / MANIFEST
        path.write_text(json.dumps(text, indent=2, ensure_ascii=False), encoding="utf-8")


def _names(folder: Path) -> list[str]:
    return sorted(f"{folder.name}/{path.name}" for path in folder.glob("*.dcm"))


def _told(warnings: Sequence[Mapping[str, str]], case: str, reason: str) -> bool:
    return any(each["case"] == case and each["reason"] == reason for each in warnings)
