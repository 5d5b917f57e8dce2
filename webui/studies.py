"""What the pages show of a study: its attributes, its findings, the pictures to look at first."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from inference.records import FindingRecord, Region
from inference.workitems import State, WorkItem
from storage.archive import Archive
from storage.errors import UnknownInstance
from storage.search import Match, Query, Range, Wildcard

PAGE_SIZE = 50
POINT_RADIUS = 12.0
"""Pixels."""


class Findings(Protocol):
    """Where findings are read."""

    def of_study(self, study: str) -> tuple[FindingRecord, ...]: ...


class Work(Protocol):
    """Where work items are read."""

    def list(self, *, study: str | None = None, limit: int = 100) -> Sequence[WorkItem]: ...


@dataclass(frozen=True, slots=True)
class KeyImage:
    """A picture that shows findings: an image, and what is drawn over it."""

    study: str
    series: str
    sop: str
    caption: str = ""
    segmentation: str = ""
    """SOP Instance UID of the SEG to draw, empty for none."""
    frame: int = 1
    circles: tuple[tuple[float, float, float], ...] = ()
    """Column, row and radius in pixels of what is marked."""


@dataclass(frozen=True, slots=True)
class StudyView:
    """One study as a row of the list and as the head of its page."""

    uid: str
    attributes: Mapping[str, Any]
    """DICOM JSON of the study level."""
    findings: tuple[FindingRecord, ...]
    work: tuple[WorkItem, ...]

    def text(self, tag: str) -> str:
        """The first value of `tag` as people write it; empty when there is none."""
        value = self.attributes.get(tag, {}).get("Value") or [""]
        first = value[0]
        if isinstance(first, dict):
            first = next(
                (first[group] for group in ("Alphabetic", "Ideographic", "Phonetic") if group in first), ""
            )
            return ", ".join(part for part in str(first).split("^") if part)
        return str(first) if first is not None else ""

    def values(self, tag: str) -> list[str]:
        return [str(value) for value in self.attributes.get(tag, {}).get("Value") or []]

    @property
    def date(self) -> str:
        raw = self.text("00080020")
        return f"{raw[:4]}-{raw[4:6]}-{raw[6:]}" if len(raw) == 8 else raw  # noqa: PLR2004 - DA is YYYYMMDD

    @property
    def ai_state(self) -> str:
        """One word for all work on the study."""
        if not self.work:
            return "no model"
        if any(item.state in {State.SCHEDULED, State.IN_PROGRESS} for item in self.work):
            return "running"
        return "ready" if any(item.results for item in self.work) else "not run"

    @property
    def present(self) -> tuple[FindingRecord, ...]:
        return tuple(finding for finding in self.findings if finding.presence == "present")


def circle(region: Region) -> tuple[float, float, float]:
    """Column, row and radius that show a region: around a point, or around a box."""
    if region.kind == "point":
        column, row = region.points
        return column, row, POINT_RADIUS
    left, top, right, bottom = region.points
    return (left + right) / 2, (top + bottom) / 2, max(right - left, bottom - top) / 2


class Studies:
    """Reads studies for the pages."""

    def __init__(self, archive: Archive, work: Work, findings: Findings) -> None:
        self._archive = archive
        self._work = work
        self._findings = findings

    def newest(self, words: str = "", date: str = "", offset: int = 0) -> tuple[list[StudyView], bool]:
        """A page of the newest studies whose patient name holds `words`, and whether there are more."""
        matches = []
        if words:
            matches.append(Match("00100010", Wildcard(f"*{words}*")))
        if date:
            matches.append(Match("00080020", Range(date, date)))
        page = self._archive.search(
            Query("study", tuple(matches), fuzzy=True, limit=PAGE_SIZE, offset=offset)
        )
        return [self._view(answer) for answer in page.answers], page.more

    def study(self, uid: str) -> StudyView:
        """One study.

        Raises:
            UnknownInstance: nothing is stored under this UID.
        """
        page = self._archive.search(Query("study", study=uid, limit=1))
        if not page.answers:
            raise UnknownInstance(f"there is no study {uid}")
        return self._view(page.answers[0])

    def _view(self, answer: Mapping[str, Any]) -> StudyView:
        uid = str(answer["0020000D"]["Value"][0])
        return StudyView(
            uid, answer, self._findings.of_study(uid), tuple(self._work.list(study=uid, limit=50))
        )

    def key_images(self, view: StudyView, most: int = 4) -> list[KeyImage]:
        """The pictures to look at first: where the findings are, or the middle of the first image series."""
        found = list(islice(self._images_of(view), most))
        return found or self._middle(view.uid)

    def _images_of(self, view: StudyView) -> Iterator[KeyImage]:
        drawn: set[str] = set()
        for finding in view.findings:
            if finding.segment and finding.segment.sop not in drawn:
                drawn.add(finding.segment.sop)
                # The segmentation may have been deleted since, and with it the reason for a picture.
                with suppress(UnknownInstance):
                    sop = self._middle_of_segment(finding.segment.sop, finding.segment.number)
                    yield KeyImage(
                        view.uid, finding.series, sop, finding.model, segmentation=finding.segment.sop
                    )
        for finding in sorted(view.present, key=lambda each: -(each.score.value if each.score else 0)):
            caption = f"{finding.model}: {finding.code.meaning.lower()}"
            if finding.region:
                at, marked = finding.region, (circle(finding.region),)
                yield KeyImage(view.uid, finding.series, at.sop, caption, frame=at.frame, circles=marked)
            elif finding.image:
                yield KeyImage(
                    view.uid, finding.series, finding.image.sop, caption, frame=finding.image.frame
                )

    def _middle_of_segment(self, segmentation: str, number: int) -> str:
        """The image below the middle one of the segment's frames."""
        stored = self._archive.instance(segmentation)
        header = json.loads(next(iter(self._archive.headers([stored]))))
        frames = [
            frame
            for frame in header["52009230"]["Value"]
            if frame["0062000A"]["Value"][0]["0062000B"]["Value"][0] == number
        ]
        derivation = frames[len(frames) // 2]["00089124"]["Value"][0]
        return str(derivation["00082112"]["Value"][0]["00081155"]["Value"][0])

    def _middle(self, study: str) -> list[KeyImage]:
        images = [each for each in self._archive.instances(study) if each.number_of_frames]
        if not images:
            return []
        series = [each for each in images if each.key.series == images[0].key.series]
        key = series[len(series) // 2].key
        return [KeyImage(key.study, key.series, key.sop)]
