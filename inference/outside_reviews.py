"""Reports that people made elsewhere, as in OHIF: what they say of our findings counts as a review."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import replace

from pydicom import Dataset, config, dcmread

from inference.arrivals_sql import SqlArrivals
from inference.findings import Code
from inference.findings_sql import SqlFindings
from inference.records import FindingRecord, ImageReference, Region
from inference.restoring import compared
from inference.results.outside import Drawn, drawn, observer
from inference.results.reading import is_report, is_verified_report, rejections
from inference.reviewing import MOST_POINTS, who_missed
from inference.reviews import PERSON_NAME_LENGTH, InvalidReview, NewReview, Reviewer, Verdict
from inference.reviews_sql import SqlReviews
from inference.triggers import SILENT
from inference.uids import uid_from
from storage.archive import Archive
from storage.errors import UnknownInstance
from storage.events import Event
from storage.instances import Origin, StoredInstance

log = logging.getLogger(__name__)

CURSOR = "outside reviews"
_BATCH = 500
_MOST_BYTES = 16 << 20
_REPORTS = frozenset(f"1.2.840.10008.5.1.4.1.1.88.{number}" for number in (22, 33, 34, 35))
_SAME_PIXELS = 0.5
_SAME_VALUE = 1e-3
_OVERLAP = 0.3
_NEAR = 10.0
"""Pixels between two points that may be of one thing."""
_ANYTHING = Code("121071", "DCM", "Finding")


class OutsideReviews:
    """Reads the archive's events by its own cursor; what was taken once is not taken again.

    Args:
        archive: whose events are read.
        arrivals: where the cursor is kept.
        findings: what our models found.
        history: where reviews are kept.
    """

    def __init__(
        self, archive: Archive, arrivals: SqlArrivals, findings: SqlFindings, history: SqlReviews
    ) -> None:
        self._archive = archive
        self._arrivals = arrivals
        self._findings = findings
        self._history = history

    def poll(self) -> bool:
        """Take in what is new; whether there may be more. Raises `StorageDown`: poll again."""
        before = self._arrivals.cursor(CURSOR)
        events = self._archive.events(before, _BATCH)
        if not events:
            return False
        kinds: dict[str, bool] = {}
        for event in events:
            if event.kind == "instance.stored" and event.origin.protocol not in SILENT:
                self._take(event, kinds)
        self._arrivals.advance(CURSOR, before, events[-1].cursor, known={}, changed=[], deleted=[])
        return len(events) == _BATCH

    def _take(self, event: Event, kinds: dict[str, bool]) -> None:
        """Of a series all objects are of one kind: one look tells of all."""
        if event.sop is None or kinds.get(event.series) is False:
            return
        try:
            stored = self._archive.instance(event.sop)
            kinds[event.series] = stored.sop_class in _REPORTS
            if kinds[event.series] and stored.size <= _MOST_BYTES:
                self._read(stored, event)
        except UnknownInstance:
            return
        except (ValueError, KeyError, AttributeError, IndexError, TypeError, InvalidReview) as error:
            # One report that says nothing sensible must not hold up the rest.
            log.warning("report %s does not count as a review: %s", event.sop, error)

    def _read(self, stored: StoredInstance, event: Event) -> None:
        # Viewers write codes longer than SH allows (CORNERSTONEFREETEXT): that is theirs to mend.
        with self._archive.open(stored) as file, config.disable_value_validation():
            sr = dcmread(file)
            name = observer(sr)
            if is_report(sr) or name is None:
                return
            reviewer = Reviewer((name or _sender(event.origin))[:PERSON_NAME_LENGTH])
            said = self._said(sr, stored, reviewer)
        if said:
            self._history.add_object(stored.key.sop, said, event.at)

    def _said(self, sr: Dataset, stored: StoredInstance, reviewer: Reviewer) -> list[NewReview]:
        drafts = [each for each in self._findings.of_study(stored.key.study) if each.presence != "absent"]
        rejected = rejections(sr) if is_verified_report(sr) else set()
        said, left = [], list(drafts)
        for number, group in enumerate(drawn(sr)):
            draft = _match(group, left)
            if draft is not None:
                left.remove(draft)
                said.append(_judged(group, draft, stored, reviewer, rejected))
            elif (own := self._own(group, stored, number, reviewer)) is not None:
                missed = who_missed(own, self._findings.of_study(stored.key.study))
                said.append(
                    NewReview(
                        stored.key.study,
                        own.tracking_uid,
                        Verdict.MISSED,
                        reviewer,
                        addition=own,
                        judged=missed,
                        object=stored.key.sop,
                    )
                )
        return said

    def _own(
        self, group: Drawn, stored: StoredInstance, number: int, reviewer: Reviewer
    ) -> FindingRecord | None:
        """A finding of the person's own, where it is on an image that is here."""
        if group.sop is None:
            return None
        try:
            image = self._archive.instance(group.sop).key
        except UnknownInstance:
            return None
        if image.study != stored.key.study:
            return None
        code = group.code or _ANYTHING
        return FindingRecord(
            work_item="",
            study=image.study,
            series=image.series,
            result="",
            model="",
            version="",
            key=f"{code.meaning} by {reviewer.name}",
            # The tracking UID of somebody else may be that of a finding in another study.
            tracking_uid=uid_from("outside finding", stored.key.sop, str(number)),
            code=code,
            presence="present",
            measurements=group.measurements,
            region=_kept(group.region),
            image=None if _kept(group.region) else ImageReference(group.sop, group.frame),
        )


def _sender(origin: Origin) -> str:
    """Who sent what names nobody: an AE title; over the web the address, for there the peer is a program."""
    peer = "" if origin.protocol == "stow" else origin.peer
    return peer or origin.address or origin.protocol


def _judged(
    group: Drawn, draft: FindingRecord, stored: StoredInstance, reviewer: Reviewer, rejected: Collection[str]
) -> NewReview:
    correction = compared(_as_said(group, draft), draft) or None
    verdict = Verdict.CORRECT if correction else Verdict.ACCEPT
    if group.tracking_uid in rejected:
        verdict, correction = Verdict.REJECT, None
    return NewReview(
        stored.key.study,
        draft.tracking_uid,
        verdict,
        reviewer,
        correction=correction,
        judged=draft,
        object=stored.key.sop,
    )


def _match(group: Drawn, drafts: Sequence[FindingRecord]) -> FindingRecord | None:
    """The finding that a group is about: the one it tracks, else the one under it that has the same name."""
    for draft in drafts:
        if draft.tracking_uid == group.tracking_uid:
            return draft
    near = [
        (nearness, draft)
        for draft in drafts
        if _is_named(group.code, draft) and (nearness := _nearness(group.region, draft.region)) > 0
    ]
    return max(near, key=lambda each: each[0])[1] if near else None


def _is_named(said: Code | None, draft: FindingRecord) -> bool:
    code = draft.code
    if said is None or (said.value, said.scheme) in {(_ANYTHING.value, "DCM"), (code.value, code.scheme)}:
        return True
    # By its code's meaning, or as viewers label it: by the name that the report gives it ("Nodule 1").
    return said.meaning.casefold() in {code.meaning.casefold(), draft.key.casefold()}


def _as_said(group: Drawn, draft: FindingRecord) -> FindingRecord:
    """The finding as the report has it; what is as good as equal, or not said, as in the draft."""
    changed = draft
    if group.code is not None and not _is_named(group.code, draft):
        changed = replace(changed, code=group.code)
    if (region := _kept(group.region)) is not None and not _is_same(region, draft.region):
        changed = replace(changed, region=region)
    values = {each.concept.meaning.casefold(): each for each in group.measurements}
    measurements = tuple(
        replace(each, value=said.value)
        if (said := values.get(each.concept.meaning.casefold())) is not None
        and said.unit.value == each.unit.value
        and abs(said.value - each.value) > _SAME_VALUE * abs(each.value)
        else each
        for each in draft.measurements
    )
    return replace(changed, measurements=measurements)


def _kept(region: Region | None) -> Region | None:
    return region if region is not None and len(region.points) <= 2 * MOST_POINTS else None


def _is_same(said: Region, draft: Region | None) -> bool:
    if draft is None or (said.sop, said.frame) != (draft.sop, draft.frame):
        return False
    if said.kind == draft.kind and len(said.points) == len(draft.points):
        pairs = zip(said.points, draft.points, strict=True)
        return all(abs(one - other) <= _SAME_PIXELS for one, other in pairs)
    return False


def _nearness(said: Region | None, draft: Region | None) -> float:
    """From 0 (not the same place) to 1: the overlap of what encloses both."""
    if said is None or draft is None or (said.sop, said.frame) != (draft.sop, draft.frame):
        return 0.0
    if said.kind == "line":  # it measures something, and does not say where a finding is
        return 0.0
    one, other = _edges(said), _edges(draft)
    if "point" in {said.kind, draft.kind}:
        gap = max(abs(one[i] + one[i + 2] - other[i] - other[i + 2]) / 2 for i in (0, 1))
        return max(0.0, 1 - gap / _NEAR)
    sides = [max(0.0, min(one[i + 2], other[i + 2]) - max(one[i], other[i])) for i in (0, 1)]
    shared = sides[0] * sides[1]
    every = _area(one) + _area(other) - shared
    overlap = shared / every if every else 0.0
    return overlap if overlap >= _OVERLAP else 0.0


def _edges(region: Region) -> tuple[float, float, float, float]:
    columns, rows = region.points[::2], region.points[1::2]
    return min(columns), min(rows), max(columns), max(rows)


def _area(edges: tuple[float, float, float, float]) -> float:
    return (edges[2] - edges[0]) * (edges[3] - edges[1])
