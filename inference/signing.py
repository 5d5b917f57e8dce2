"""Signing: the reviews of a study become a verified report, once."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from pydicom import Dataset

from inference.records import FindingRecord
from inference.results.context import SEGMENTATION_STORAGE, Report
from inference.results.sources import source_images
from inference.results.verified import Judged, verified_report
from inference.reviewing import ReviewedStudy, Reviews
from inference.reviews import InvalidReview, NotJudged, Reviewer, SignedReport
from inference.reviews_sql import SqlReviews
from inference.uids import uid_from
from inference.workitems_sql import utc_now
from storage.archive import Archive
from storage.errors import UnknownInstance
from storage.instances import Origin, StoredInstance
from storage.spool import Spool


class Signing:
    """Writes verified reports.

    Args:
        archive: where they are stored.
        spool: where they wait for it.
        reviews: what they are made from.
        history: where it is noted that they are signed.
        organization: Verifying Organization (0040,A027).
        clock: the time now, aware.
    """

    def __init__(
        self,
        archive: Archive,
        spool: Spool,
        reviews: Reviews,
        history: SqlReviews,
        *,
        organization: str,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._archive = archive
        self._spool = spool
        self._reviews = reviews
        self._history = history
        self._organization = organization
        self._clock = clock

    def sign(self, study: str, reviewer: Reviewer, *, leave: bool = False) -> SignedReport:
        """Store the verified report of a study; signing the same reviews again gives the same report.

        Args:
            study: Study Instance UID.
            reviewer: who answers for it.
            leave: leave out findings that nobody judged, instead of refusing.

        Raises:
            UnknownStudy: there is no such study.
            NotJudged: findings wait for a verdict.
            InvalidReview: the study has nothing that could be signed.
        """
        there = self._reviews.of_study(study)
        waiting = [each.record.tracking_uid for each in there.findings if each.waits]
        if waiting and not leave:
            raise NotJudged(waiting)
        findings = [
            Judged(each.record, each.review)
            for each in there.findings
            if not each.superseded and not each.waits
        ]
        if not findings:
            raise InvalidReview("the study has no findings that could be signed")
        report = self._history.begin_signing(self._new(study, reviewer, findings, there))
        if report.sr not in {each.sr for each in there.signed}:
            self._store(report, findings, there)
        return report

    def _new(
        self, study: str, reviewer: Reviewer, findings: Sequence[Judged], there: ReviewedStudy
    ) -> SignedReport:
        reviews = {each.record.tracking_uid: each.review.id for each in findings if each.review}
        said = sorted(f"{each.record.tracking_uid} {each.record.result}" for each in findings)
        numbers = sorted(map(str, reviews.values()))
        uid = uid_from("verified report", study, reviewer.name, reviewer.id, *said, *numbers)
        return SignedReport(
            sr=uid,
            study=study,
            series=uid_from("verified report series", uid),
            reviewer=reviewer,
            at=self._clock(),
            reviews=reviews,
            drafts=tuple(each.stored.key.sop for each in there.drafts if not each.superseded),
        )

    def _store(self, report: SignedReport, findings: Sequence[Judged], there: ReviewedStudy) -> None:
        predecessors = [each.stored.key for each in there.drafts if each.stored.key.sop in report.drafts]
        earlier = [Report(each.study, each.series, each.sr) for each in there.signed if each.at < report.at]
        data = verified_report(
            report,
            findings,
            self._headers(findings),
            [*(Report(key.study, key.series, key.sop) for key in predecessors), *earlier],
            self._organization,
        )
        with self._archive.delivery(Origin("review", report.reviewer.name[:64])) as delivery:
            file = self._spool.new()
            file.write(data)
            delivery.ingest(file)
        self._history.end_signing(report.sr)

    def _headers(self, findings: Sequence[Judged]) -> dict[str, Dataset]:
        """Headers of what the findings name; images before segmentations."""
        applied = [each.record for each in findings] + [
            each.review.correction.applied(each.record)
            for each in findings
            if each.review and each.review.correction
        ]
        named = {each.key.sop: each for record in applied for each in self._named(record)}
        stored = sorted(
            named.values(), key=lambda each: (each.sop_class == SEGMENTATION_STORAGE, each.key.series)
        )
        images = source_images(self._archive.headers(stored))
        return {image.SOPInstanceUID: image for image in images}

    def _named(self, record: FindingRecord) -> Iterator[StoredInstance]:
        """The image of a finding, or the first of its series, and its segmentation."""
        place = record.region or record.image
        if place is not None:
            yield self._archive.instance(place.sop)
        else:
            yield self._archive.instances(record.study, record.series)[0]
        if record.segment is not None:
            try:
                yield self._archive.instance(record.segment.sop)
            except UnknownInstance as error:
                raise InvalidReview(f"the mask of a finding was deleted: {error}") from None
