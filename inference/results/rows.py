"""Finding records of an analysis, in exactly the precision that a report keeps."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from inference.findings import Analysis, Box, Code, Finding, Measurement, Point, Score, SourceFrame
from inference.records import FindingRecord, ImageReference, Region, SegmentReference
from inference.results.context import ResultContext


def finding_records(analysis: Analysis, context: ResultContext) -> list[FindingRecord]:
    """One record per finding, and one "absent" per code that was looked for and is in none of them.

    Raises:
        ValueError: the analysis is a refusal or says nothing at all, so that there is nothing to report.
    """
    stated = {(finding.code.value, finding.code.scheme) for finding in analysis.findings}
    missed = [code for code in analysis.looked_for if (code.value, code.scheme) not in stated]
    findings = [*analysis.findings, *_absences(missed, analysis.frames)]
    if analysis.refusal is not None or not findings:
        raise ValueError(f"{analysis.model.name}: there is nothing to report")
    return [_record(finding, analysis, context) for finding in findings]


def _absences(codes: Iterable[Code], frames: Sequence[SourceFrame]) -> Iterator[Finding]:
    only = frames[0] if len(frames) == 1 else None
    for code in codes:
        yield Finding(key=f"no {code.meaning}", code=code, presence="absent", source=only)


def _record(finding: Finding, analysis: Analysis, context: ResultContext) -> FindingRecord:
    source = analysis.sources[0].key
    # A side needs a site to be the side of; where none is named it is that of the structure itself.
    site = finding.site or (finding.code if finding.laterality else None)
    return FindingRecord(
        work_item=context.work_item,
        study=source.study,
        series=source.series,
        result=context.report,
        model=analysis.model.name,
        version=analysis.model.version,
        key=finding.key,
        tracking_uid=context.uid("finding", finding.key),
        code=finding.code,
        presence=finding.presence,
        site=site,
        laterality=finding.laterality,
        score=_score(finding.score),
        measurements=tuple(_measurement(measurement) for measurement in finding.measurements),
        region=_region(finding.geometry),
        segment=SegmentReference(context.segmentation, finding.segment) if finding.segment else None,
        image=_image(finding),
        note=finding.note,
        flags=analysis.flags,
        critical=finding.critical,
        supersedes=context.predecessor.sop if context.predecessor else None,
    )


def decimal(value: float) -> float:
    """The nearest number that a decimal string holds (16 characters, PS3.5 6.2)."""
    return float(f"{value:.10g}")


def _score(score: Score | None) -> Score | None:
    return replace(score, value=decimal(score.value)) if score else None


def _measurement(measurement: Measurement) -> Measurement:
    return replace(measurement, value=decimal(measurement.value))


def _image(finding: Finding) -> ImageReference | None:
    if finding.source is None or finding.segment or finding.geometry:
        return None
    return ImageReference(finding.source.instance.key.sop, finding.source.frame)


def _region(geometry: Point | Box | None) -> Region | None:
    if geometry is None:
        return None
    sop, frame = geometry.source.instance.key.sop, geometry.source.frame
    if isinstance(geometry, Point):
        return Region("point", sop, frame, _single(geometry.column, geometry.row))
    edges = _single(geometry.left, geometry.top, geometry.right, geometry.bottom)
    return Region("box", sop, frame, edges)


def _single(*values: float) -> tuple[float, ...]:
    return tuple(float(np.float32(value)) for value in values)
