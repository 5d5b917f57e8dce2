"""The findings of a study with what people said of them, and the rules for saying more."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from inference.acknowledgements_sql import Acknowledgement
from inference.findings_sql import SqlFindings
from inference.records import FindingRecord, Region
from inference.reviews import (
    Correction,
    InvalidReview,
    NewReview,
    Review,
    Reviewer,
    SignedReport,
    UnknownFinding,
    UnknownStudy,
    Verdict,
    additions,
    standing,
)
from inference.reviews_sql import SqlReviews
from inference.uids import uid_from
from storage.archive import Archive
from storage.errors import UnknownInstance
from storage.instances import StoredInstance
from storage.search import Query

_LEAST_CORNERS = 3
MOST_POINTS = 1024


@dataclass(frozen=True, slots=True)
class ReviewedFinding:
    """A finding, and what people say of it."""

    record: FindingRecord
    """As the model said it, or the person who added it."""
    review: Review | None = None
    """The one that counts."""
    superseded: bool = False
    """A later run of the same model on the same images replaced the report."""
    signed: bool = False
    """The review that counts is in a stored, verified report."""
    acknowledgement: Acknowledgement | None = None
    """Who has seen it, where it is critical."""

    @property
    def waits(self) -> bool:
        """It needs a verdict before the study can be signed."""
        return self.review is None and not self.superseded and self.record.presence != "absent"


@dataclass(frozen=True, slots=True)
class DraftReport:
    """A stored report of a model."""

    stored: StoredInstance
    records: tuple[FindingRecord, ...]
    superseded: bool

    @property
    def nothing_found(self) -> bool:
        """It says that what was looked for is absent, and nothing else."""
        return all(record.presence == "absent" for record in self.records)


@dataclass(frozen=True, slots=True)
class ReviewedStudy:
    """Everything about the findings of one study."""

    findings: tuple[ReviewedFinding, ...]
    drafts: tuple[DraftReport, ...]
    signed: tuple[SignedReport, ...]
    """The verified reports that are stored, oldest first."""

    def finding(self, tracking: str) -> ReviewedFinding:
        """The finding of this tracking UID; raises `UnknownFinding`."""
        for each in self.findings:
            if each.record.tracking_uid == tracking:
                return each
        raise UnknownFinding(f"the study has no finding {tracking}")


class Reviews:
    """Reads and takes reviews.

    Args:
        archive: where the images are that reviews are about.
        findings: what the models found.
        history: where reviews are kept.
    """

    def __init__(self, archive: Archive, findings: SqlFindings, history: SqlReviews) -> None:
        self._archive = archive
        self._findings = findings
        self._history = history

    def of_study(self, study: str) -> ReviewedStudy:
        """The findings of a study; raises `UnknownStudy`."""
        if not self._archive.search(Query("study", study=study, limit=1)).answers:
            raise UnknownStudy(f"there is no study {study}")
        history = self._history.of_study(study)
        counts = standing(history)
        signed = tuple(each for each in self._history.signed(study) if self._is_stored(each.sr))
        records = self._findings.of_study(study, superseded=True)
        current = {record.tracking_uid for record in self._findings.of_study(study)}
        found = [
            _reviewed(record, counts, signed, superseded=record.tracking_uid not in current)
            for record in records
        ]
        found += [_reviewed(each, counts, signed, superseded=False) for each in additions(history)]
        seen = self._history.acknowledged(study)
        found = [replace(each, acknowledgement=seen.get(each.record.tracking_uid)) for each in found]
        return ReviewedStudy(tuple(found), self._drafts(records, current), signed)

    def history(self, study: str, finding: str) -> tuple[Review, ...]:
        """All that was ever said of a finding, oldest first; raises `UnknownStudy` and `UnknownFinding`."""
        told = tuple(each for each in self._history.of_study(study) if each.finding == finding)
        if not told:
            self.of_study(study).finding(finding)
        return told

    def judge(
        self,
        study: str,
        finding: str,
        verdict: Verdict,
        reviewer: Reviewer,
        *,
        comment: str = "",
        correction: Correction | None = None,
    ) -> Review:
        """Accept, reject or correct a finding.

        Args:
            study: Study Instance UID.
            finding: its tracking UID.
            verdict: one of the three.
            reviewer: who says so.
            comment: why, for those who read it later.
            correction: what is different, for `CORRECT` alone.

        Raises:
            UnknownStudy: there is no such study.
            UnknownFinding: it has no such finding.
            InvalidReview: a correction without anything corrected, or with a place outside of the images.
        """
        record = self.of_study(study).finding(finding).record
        if (verdict is Verdict.CORRECT) != bool(correction):
            raise InvalidReview(
                "'corrected' belongs to the verdict 'correct', and must say what is different"
            )
        if correction and correction.region:
            self._check_region(correction.region, record.series)
        return self._history.add(
            NewReview(study, finding, verdict, reviewer, comment, correction, judged=record)
        )

    def acknowledge(self, study: str, finding: str, reviewer: Reviewer) -> Acknowledgement:
        """Say that a critical finding was seen; whoever said so first stays.

        Raises:
            UnknownStudy: there is no such study.
            UnknownFinding: it has no such finding.
            InvalidReview: the finding is not critical.
        """
        if not self.of_study(study).finding(finding).record.critical:
            raise InvalidReview("the finding is not critical: there is nothing to acknowledge")
        self._history.acknowledge(study, finding, reviewer)
        return self._history.acknowledged(study)[finding]

    def undo(self, study: str, finding: str, review: int, reviewer: Reviewer) -> Review:
        """Take a review back; the history keeps both. Raises `UnknownReview`."""
        return self._history.undo(study, finding, review, reviewer)

    def add(self, record: FindingRecord, reviewer: Reviewer, comment: str = "") -> ReviewedFinding:
        """Add a finding that no model made; it is accepted by whoever adds it.

        Args:
            record: the finding; its tracking UID is made here.
            reviewer: who found it.
            comment: for those who read it later.

        Raises:
            UnknownStudy: there is no such study.
            InvalidReview: the series is not of this study, or the place is outside of its images.
        """
        study = self.of_study(record.study)
        self._check_series(record)
        if record.region:
            self._check_region(record.region, record.series)
        number = sum(not each.record.model for each in study.findings)
        tracking = uid_from("finding", record.study, reviewer.name, str(record), str(number))
        named = replace(record, tracking_uid=tracking, key=f"{record.code.meaning} by {reviewer.name}")
        new = NewReview(
            record.study,
            tracking,
            Verdict.MISSED,
            reviewer,
            comment,
            addition=named,
            judged=who_missed(named, [each.record for each in study.findings if not each.superseded]),
        )
        return ReviewedFinding(named, self._history.add(new))

    def _check_series(self, record: FindingRecord) -> None:
        try:
            self._archive.instances(record.study, record.series)
        except UnknownInstance:
            raise InvalidReview(f"the study has no series {record.series}") from None

    def _check_region(self, region: Region, series: str) -> None:
        try:
            image = self._archive.instance(region.sop)
        except UnknownInstance:
            raise InvalidReview(f"there is no image {region.sop}") from None
        if image.key.series != series:
            raise InvalidReview(f"image {region.sop} is not of the series of the finding, {series}")
        if not 1 <= region.frame <= max(image.number_of_frames, 1):
            raise InvalidReview(f"image {region.sop} has no frame {region.frame}")

    def _drafts(self, records: Sequence[FindingRecord], current: set[str]) -> tuple[DraftReport, ...]:
        reports: dict[str, list[FindingRecord]] = {}
        for record in records:
            reports.setdefault(record.result, []).append(record)
        return tuple(
            DraftReport(self._archive.instance(sop), tuple(some), some[0].tracking_uid not in current)
            for sop, some in reports.items()
            if self._is_stored(sop)
        )

    def _is_stored(self, sop: str) -> bool:
        try:
            self._archive.instance(sop)
        except UnknownInstance:
            return False
        return True


def region_from(kind: str, sop: str, frame: int | None, points: Sequence[tuple[float, float]]) -> Region:
    """A region as records keep it.

    Args:
        kind: point, box (two opposite corners), polygon or line (open).
        sop: SOP Instance UID of the image.
        frame: from 1; None for the only one.
        points: column and row in pixels, 0.0 being the outer edge of the first.

    Raises:
        InvalidReview: the points do not make such a region.
    """
    if not all(math.isfinite(value) for point in points for value in point) or len(points) > MOST_POINTS:
        raise InvalidReview(f"points are finite numbers, and at most {MOST_POINTS}")
    flat = tuple(float(np.float32(value)) for point in points for value in point)
    at = frame or 1
    if kind == "point" and len(points) == 1:
        return Region("point", sop, at, flat)
    if kind == "box" and len(points) == 2:  # noqa: PLR2004 - opposite corners
        edges = np.array(points, np.float32)
        return Region("box", sop, at, tuple(float(v) for v in (*edges.min(axis=0), *edges.max(axis=0))))
    if kind == "polygon" and len(points) >= _LEAST_CORNERS:
        closed = points[0] == points[-1]
        return Region("polygon", sop, at, flat[:-2] if closed else flat)
    if kind == "line" and len(points) > 1:
        return Region("line", sop, at, flat)
    raise InvalidReview(f"{len(points)} points do not make a {kind}")


def _reviewed(
    record: FindingRecord, counts: Mapping[str, Review], signed: Sequence[SignedReport], *, superseded: bool
) -> ReviewedFinding:
    review = counts.get(record.tracking_uid)
    is_signed = review is not None and any(each.reviews.get(review.finding) == review.id for each in signed)
    return ReviewedFinding(record, review, superseded, is_signed)


def who_missed(addition: FindingRecord, findings: Sequence[FindingRecord]) -> FindingRecord | None:
    """A record of the model that looked for the same in these images: it missed this one.

    Args:
        addition: what a person found.
        findings: of the study, those left out that a later run replaced.
    """
    same = (
        each
        for each in findings
        if each.series == addition.series and each.code == addition.code and each.model
    )
    return next(same, None)
